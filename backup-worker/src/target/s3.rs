//! Backups in S3: in parts above one chunk, each with its SHA-256, encrypted there as well, and looked at again when all of
//! it has arrived (`upload.rs`). The role needs to put, get and list, and no more.

mod upload;

use std::sync::Mutex;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::ServerSideEncryption as Encryption;
use process::{aws, backoff};
use tokio::sync::mpsc::Sender;

use super::{Listed, ServerEncryption, TargetError, whole};
use crate::manifest;
use crate::name::BackupName;
use crate::pipe::Chunk;

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
    begun: Mutex<Option<upload::Begun>>,
}

impl S3Target {
    pub(super) async fn connect(
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

    pub(super) async fn manifest(&self, name: &BackupName) -> Result<Vec<u8>, TargetError> {
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
        let (mut body, mut bytes) = (reply.body, Vec::new());
        let broken = |error| TargetError::Unavailable(format!("the manifest broke off: {}", aws::causes(&error)));
        while let Some(piece) = body.try_next().await.map_err(broken)? {
            bytes.extend_from_slice(&piece);
            if bytes.len() as u64 > manifest::LONGEST {
                return Err(TargetError::Wrong(manifest::too_long()));
            }
        }
        // An empty one was taken back.
        if bytes.is_empty() { Err(TargetError::NoManifest(name.clone())) } else { Ok(bytes) }
    }

    /// A download that breaks off is taken up where it broke.
    pub(super) async fn download(&self, name: &BackupName, chunks: Sender<Chunk>) -> Result<(), TargetError> {
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

    pub(super) async fn list(&self) -> Result<Vec<Listed>, TargetError> {
        let (mut archives, mut manifests) = (Vec::new(), Vec::new());
        for (key, bytes) in self.list_keys(&self.prefix).await? {
            let file = key.strip_prefix(&self.prefix).unwrap_or(&key);
            if let Ok(name) = file.parse() {
                archives.push(Listed { name, bytes });
            } else if bytes > 0 {
                // An empty one was taken back.
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

fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|reply| reply.status().as_u16())
}
