//! Backups in S3: in parts above one chunk, each with its SHA-256, encrypted there as well, and looked at again when all of
//! it has arrived. The role needs to put, get and list, and no more.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart, ServerSideEncryption as Encryption,
};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use process::{aws, backoff};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc::{Receiver, Sender};

use crate::name::BackupName;
use crate::pipe::Chunk;
use crate::target::{Listed, ServerEncryption, TargetError, whole};

/// One attempt at one call: a part of 8 MiB takes less on any line that carries 250 kbit/s.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(300);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Attempts at one call. With the SDK's pauses, a storm of half a minute passes.
const ATTEMPTS: u32 = 7;

/// The longest pause before a download that broke off is taken up again.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// A bucket, and the part of it that is ours.
pub struct S3Target {
    client: Client,
    bucket: String,
    prefix: String,
    encryption: ServerEncryption,
    /// The upload in parts that was begun and not finished.
    begun: Mutex<Option<BegunUpload>>,
}

struct BegunUpload {
    key: String,
    id: String,
}

impl S3Target {
    pub(crate) async fn connect(
        bucket: &str,
        prefix: &str,
        encryption: ServerEncryption,
    ) -> Result<S3Target, TargetError> {
        let config = aws::load(None).await;
        // A unit that sets AWS_REGION to nothing has not set it.
        if config.region().is_none_or(|region| region.as_ref().is_empty()) {
            return Err(TargetError::Unavailable(
                "no AWS region is known: set AWS_REGION, or let this machine have a role and its metadata service"
                    .to_owned(),
            ));
        }
        // Without a limit for all attempts together: what `aws::load` sets is meant for calls of a few kilobytes.
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .disable_operation_timeout();
        let client = Client::from_conf(
            aws_sdk_s3::config::Builder::from(&config)
                .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
                .timeout_config(timeouts.build())
                // An endpoint of one's own seldom has a name for each bucket.
                .force_path_style(config.endpoint_url().is_some())
                .build(),
        );
        Ok(S3Target {
            client,
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            encryption,
            begun: Mutex::new(None),
        })
    }

    pub(crate) async fn upload(&self, name: &BackupName, mut chunks: Receiver<Chunk>) -> Result<u64, TargetError> {
        let key = self.key(&name.to_string());
        let first = match next(&mut chunks).await? {
            Some(first) => first,
            None => Bytes::new(),
        };
        let second = if first.is_empty() { None } else { next(&mut chunks).await? };
        let bytes = match second {
            None => {
                let bytes = first.len() as u64;
                self.put(&key, first, false).await?;
                bytes
            }
            Some(second) => self.upload_parts(&key, first, second, &mut chunks).await?,
        };
        self.look_at(&key, bytes).await
    }

    async fn upload_parts(
        &self,
        key: &str,
        first: Bytes,
        second: Bytes,
        chunks: &mut Receiver<Chunk>,
    ) -> Result<u64, TargetError> {
        let (encryption, kms_key) = self.wanted_encryption();
        let begin = self.client.create_multipart_upload().bucket(&self.bucket).key(key);
        let begin = begin.server_side_encryption(encryption).set_ssekms_key_id(kms_key);
        let begun = begin.checksum_algorithm(ChecksumAlgorithm::Sha256).send().await;
        let begun = begun.map_err(|error| self.explain("s3:PutObject", &error))?;
        let id = begun.upload_id().unwrap_or_default().to_owned();
        *self.begun.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(BegunUpload { key: key.to_owned(), id: id.clone() });
        self.check_encryption(key, begun.server_side_encryption())?;

        let (mut parts, mut bytes) = (Vec::new(), 0);
        let mut chunk = Some(first);
        let mut following = Some(second);
        while let Some(part) = chunk {
            bytes += part.len() as u64;
            // S3's own limit is 10,000 parts; the call says so when it is reached.
            let number = i32::try_from(parts.len() + 1).unwrap_or(i32::MAX);
            let checksum = checksum(&part);
            let put = self.client.upload_part().bucket(&self.bucket).key(key).upload_id(&id).part_number(number);
            let kept = put.checksum_sha256(&checksum).body(ByteStream::from(part)).send().await;
            let kept = kept.map_err(|error| self.explain("s3:PutObject", &error))?;
            check_checksum(key, &checksum, kept.checksum_sha256())?;
            let part = CompletedPart::builder().part_number(number).checksum_sha256(checksum);
            parts.push(part.set_e_tag(kept.e_tag).build());
            chunk = match following.take() {
                Some(following) => Some(following),
                None => next(chunks).await?,
            };
        }

        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let complete = self.client.complete_multipart_upload().bucket(&self.bucket).key(key).upload_id(&id);
        let completed = complete.multipart_upload(parts).send().await;
        completed.map_err(|error| self.explain("s3:PutObject", &error))?;
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(bytes)
    }

    async fn put(&self, key: &str, body: Bytes, only_if_absent: bool) -> Result<(), TargetError> {
        let checksum = checksum(&body);
        let (encryption, kms_key) = self.wanted_encryption();
        let put = self.client.put_object().bucket(&self.bucket).key(key).checksum_algorithm(ChecksumAlgorithm::Sha256);
        let put = put.checksum_sha256(&checksum);
        let put = put.server_side_encryption(encryption).set_ssekms_key_id(kms_key);
        let put = put.set_if_none_match(only_if_absent.then(|| "*".to_owned()));
        let kept = put.body(ByteStream::from(body)).send().await;
        let kept = kept.map_err(|error| match status(&error) {
            Some(412) => TargetError::Exists(key.to_owned()),
            _ => self.explain("s3:PutObject", &error),
        })?;
        self.check_encryption(key, kept.server_side_encryption())?;
        check_checksum(key, &checksum, kept.checksum_sha256())
    }

    /// What S3 says of an archive that has arrived: its encryption, and its size, which is given.
    async fn look_at(&self, key: &str, sent: u64) -> Result<u64, TargetError> {
        let head = self.client.head_object().bucket(&self.bucket).key(key).send().await;
        let head = head.map_err(|error| self.explain("s3:GetObject", &error))?;
        self.check_encryption(key, head.server_side_encryption())?;
        let kept = u64::try_from(head.content_length().unwrap_or(0)).unwrap_or(0);
        if kept != sent {
            return Err(TargetError::Wrong(format!("S3 says that it has {kept} bytes of {key}, and {sent} were sent")));
        }
        Ok(kept)
    }

    pub(crate) async fn put_manifest(&self, name: &BackupName, json: String) -> Result<(), TargetError> {
        let key = self.key(&name.manifest());
        match self.put(&key, Bytes::from(json.clone()), true).await {
            // A call whose answer was lost is made again, and then finds what it has put there itself.
            Err(TargetError::Exists(_)) if self.manifest(name).await? == json.as_bytes() => Ok(()),
            Err(error @ TargetError::Wrong(_)) => {
                self.take_back(&key).await;
                Err(error)
            }
            put => put,
        }
    }

    /// Removes a manifest that was kept in another way than was asked for, so that its backup does not count.
    async fn take_back(&self, key: &str) {
        if let Err(error) = self.client.delete_object().bucket(&self.bucket).key(key).send().await {
            let error = self.explain("s3:DeleteObject", &error);
            tracing::error!(%error, key, "a manifest that was not kept as it should be could not be removed: remove it by hand");
        }
    }

    /// Gives up the upload in parts that was begun. What was finished stays, for the bucket's lifecycle.
    pub(crate) async fn abort_upload(&self) {
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(BegunUpload { key, id }) = begun else { return };
        let abort = self.client.abort_multipart_upload().bucket(&self.bucket).key(&key).upload_id(id);
        if let Err(error) = abort.send().await {
            let error = self.explain("s3:AbortMultipartUpload", &error);
            tracing::warn!(%error, key, "the parts of an upload could not be removed; the bucket's lifecycle should do it");
        }
    }

    pub(crate) async fn manifest(&self, name: &BackupName) -> Result<Vec<u8>, TargetError> {
        let get = self.client.get_object().bucket(&self.bucket).key(self.key(&name.manifest()));
        let reply = match get.send().await {
            Ok(reply) => reply,
            Err(error) if error.code() == Some("NoSuchKey") => {
                let archives = self.list_keys(&self.key(&name.to_string())).await?;
                return Err(match archives.is_empty() {
                    true => TargetError::Missing(name.to_string()),
                    false => TargetError::NoManifest(name.clone()),
                });
            }
            Err(error) => return Err(self.explain("s3:GetObject", &error)),
        };
        let body = reply.body.collect().await;
        let broken = |error| TargetError::Unavailable(format!("the manifest broke off: {}", aws::causes(&error)));
        Ok(body.map_err(broken)?.to_vec())
    }

    /// A download that breaks off is taken up where it broke.
    pub(crate) async fn download(&self, name: &BackupName, chunks: Sender<Chunk>) -> Result<(), TargetError> {
        let key = self.key(&name.to_string());
        let (mut position, mut failures) = (0_u64, 0);
        loop {
            let get = self.client.get_object().bucket(&self.bucket).key(&key);
            let range = (position > 0).then(|| format!("bytes={position}-"));
            let mut body = match get.set_range(range).send().await {
                Ok(reply) => reply.body,
                Err(error) if error.code() == Some("NoSuchKey") => return Err(TargetError::Missing(name.to_string())),
                Err(error) => return Err(self.explain("s3:GetObject", &error)),
            };
            let broken = loop {
                match body.try_next().await {
                    Ok(Some(bytes)) => {
                        (position, failures) = (position + bytes.len() as u64, 0);
                        chunks.send(Chunk::Data(bytes)).await.map_err(|_| TargetError::BrokenOff)?;
                    }
                    Ok(None) => return chunks.send(Chunk::End).await.map_err(|_| TargetError::BrokenOff),
                    Err(error) => break error,
                }
            };
            failures += 1;
            if failures == ATTEMPTS {
                let causes = aws::causes(&broken);
                return Err(TargetError::Unavailable(format!(
                    "the download of {key} breaks off again and again: {causes}"
                )));
            }
            tokio::time::sleep(backoff::pause(failures, LONGEST_PAUSE, backoff::chance())).await;
        }
    }

    pub(crate) async fn list(&self) -> Result<Vec<Listed>, TargetError> {
        let (mut archives, mut manifests) = (Vec::new(), Vec::new());
        for (key, bytes) in self.list_keys(&self.prefix).await? {
            let file = key.strip_prefix(&self.prefix).unwrap_or(&key);
            if let Ok(name) = file.parse() {
                archives.push(Listed { name, bytes });
            } else {
                manifests.extend(BackupName::of_manifest(file));
            }
        }
        Ok(whole(archives, &manifests))
    }

    async fn list_keys(&self, prefix: &str) -> Result<Vec<(String, u64)>, TargetError> {
        let mut pages = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix).into_paginator().send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            for object in page.map_err(|error| self.explain("s3:ListBucket", &error))?.contents.unwrap_or_default() {
                let bytes = object.size.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0);
                keys.extend(object.key.map(|key| (key, bytes)));
            }
        }
        Ok(keys)
    }

    fn key(&self, file: &str) -> String {
        format!("{}{file}", self.prefix)
    }

    fn wanted_encryption(&self) -> (Encryption, Option<String>) {
        match &self.encryption {
            ServerEncryption::Aes256 => (Encryption::Aes256, None),
            ServerEncryption::Kms { key } => (Encryption::AwsKms, Some(key.clone())),
        }
    }

    fn check_encryption(&self, key: &str, said: Option<&Encryption>) -> Result<(), TargetError> {
        let (wanted, _) = self.wanted_encryption();
        match said {
            Some(said) if *said == wanted => Ok(()),
            Some(said) => Err(TargetError::Wrong(format!("S3 says {said} about {key}, where {wanted} was asked for"))),
            None => Err(TargetError::Wrong(format!(
                "S3 does not say that it encrypted {key}, and {wanted} was asked for: is this S3?"
            ))),
        }
    }

    fn explain<E>(&self, permission: &str, error: &SdkError<E>) -> TargetError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let bucket = &self.bucket;
        let message = match (error.code(), error.message()) {
            (Some(code), Some(message)) => format!("{code}: {message}"),
            _ => aws::causes(error),
        };
        match (error.code(), status(error)) {
            (Some("NoSuchBucket"), _) => TargetError::Refused(format!("there is no bucket {bucket}")),
            (Some("BadDigest" | "InvalidDigest" | "XAmzContentSHA256Mismatch" | "InvalidPart"), _) => {
                TargetError::Wrong(format!("what arrived at S3 is not what was sent ({message})"))
            }
            (Some("ExpiredToken" | "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "RequestTimeTooSkewed"), _) => {
                TargetError::Unavailable(format!(
                    "S3 does not accept the credentials: see that the role is attached and the clock is right ({message})"
                ))
            }
            (Some("InvalidObjectState"), _) => TargetError::Refused(format!(
                "the backup is in an archive class of S3 and must be brought back from there first: see aws s3api restore-object ({message})"
            )),
            // A HEAD is answered without words.
            (Some("AccessDenied"), _) | (_, Some(403)) => TargetError::Refused(format!(
                "the role of this machine may not {permission} on the bucket {bucket}: allow it ({message})"
            )),
            (Some(_), Some(400..=499)) => TargetError::Refused(format!("S3 refuses: {message}")),
            _ => TargetError::Unavailable(format!("S3 cannot be reached, or does not answer as it should: {message}")),
        }
    }
}

async fn next(chunks: &mut Receiver<Chunk>) -> Result<Option<Bytes>, TargetError> {
    match chunks.recv().await {
        Some(Chunk::Data(bytes)) => Ok(Some(bytes)),
        Some(Chunk::End) => Ok(None),
        None => Err(TargetError::BrokenOff),
    }
}

/// As S3 writes it.
fn checksum(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(Sha256::digest(bytes))
}

/// S3 refuses what does not have the checksum it was sent with; what it answers is compared where it answers.
fn check_checksum(key: &str, sent: &str, said: Option<&str>) -> Result<(), TargetError> {
    match said {
        Some(said) if said != sent => {
            Err(TargetError::Wrong(format!("S3 answers with another checksum for {key} than was sent")))
        }
        _ => Ok(()),
    }
}

fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|reply| reply.status().as_u16())
}
