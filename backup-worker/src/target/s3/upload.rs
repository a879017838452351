//! Keeping a backup in S3. Nothing that is there is ever replaced: two machines that share a place may begin in the same
//! second. Only what was kept otherwise than was asked for is overwritten, with nothing.

use std::sync::PoisonError;

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, CompletedMultipartUpload, CompletedPart};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc::Receiver;

use super::{S3Target, TargetError, status};
use crate::name::BackupName;
use crate::pipe::Chunk;

/// An upload in parts.
pub(super) struct Begun {
    key: String,
    id: String,
}

/// What was sent, to compare with what S3 says.
struct Sent {
    bytes: u64,
    /// As S3 writes it: of an upload in parts, the checksum of the parts' checksums, and how many there are.
    checksum: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum IfThere {
    Refuse,
    Overwrite,
}

impl S3Target {
    pub(in crate::target) async fn upload(
        &self,
        name: &BackupName,
        mut chunks: Receiver<Chunk>,
    ) -> Result<u64, TargetError> {
        let key = self.key(&name.to_string());
        let first = match next(&mut chunks).await? {
            Some(first) => first,
            None => Bytes::new(),
        };
        let second = if first.is_empty() { None } else { next(&mut chunks).await? };
        let sent = match second {
            None => {
                let sent = Sent { bytes: first.len() as u64, checksum: checksum(&first) };
                match self.put(&key, first, IfThere::Refuse).await {
                    Err(TargetError::Exists(_)) if self.is_ours(&key, &sent).await? => {}
                    put => put?,
                }
                sent
            }
            Some(second) => self.upload_parts(&key, first, second, &mut chunks).await?,
        };
        self.look_at(&key, sent.bytes).await
    }

    async fn upload_parts(
        &self,
        key: &str,
        first: Bytes,
        second: Bytes,
        chunks: &mut Receiver<Chunk>,
    ) -> Result<Sent, TargetError> {
        let (encryption, kms_key) = self.wanted_encryption();
        let begin = self.client.create_multipart_upload().bucket(&self.bucket).key(key);
        let begin = begin.server_side_encryption(encryption).set_ssekms_key_id(kms_key);
        let begun = begin.checksum_algorithm(ChecksumAlgorithm::Sha256).send().await;
        let begun = begun.map_err(|error| self.explain("s3:PutObject", &error))?;
        let id = begun.upload_id().unwrap_or_default().to_owned();
        *self.begun.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Begun { key: key.to_owned(), id: id.clone() });
        self.check_encryption(key, begun.server_side_encryption())?;

        let (mut parts, mut bytes, mut checksums) = (Vec::new(), 0, Sha256::new());
        let mut chunk = Some(first);
        let mut following = Some(second);
        while let Some(part) = chunk {
            bytes += part.len() as u64;
            // S3's own limit is 10,000 parts; the call says so when it is reached.
            let number = i32::try_from(parts.len() + 1).unwrap_or(i32::MAX);
            let digest = Sha256::digest(&part);
            checksums.update(digest);
            let checksum = BASE64_STANDARD.encode(digest);
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

        let sent =
            Sent { bytes, checksum: format!("{}-{}", BASE64_STANDARD.encode(checksums.finalize()), parts.len()) };
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let complete = self.client.complete_multipart_upload().bucket(&self.bucket).key(key).upload_id(&id);
        let completed = complete.multipart_upload(parts).if_none_match("*").send().await;
        if let Err(error) = completed {
            // Made again since its answer was lost, the call finds no upload any more, or what it has put there itself.
            let may_be_ours = status(&error) == Some(412) || error.code() == Some("NoSuchUpload");
            if !may_be_ours || !self.is_ours(key, &sent).await? {
                return Err(match status(&error) {
                    Some(412) => TargetError::Exists(key.to_owned()),
                    _ => self.explain("s3:PutObject", &error),
                });
            }
        }
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(sent)
    }

    async fn put(&self, key: &str, body: Bytes, if_there: IfThere) -> Result<(), TargetError> {
        let checksum = checksum(&body);
        let (encryption, kms_key) = self.wanted_encryption();
        let put = self.client.put_object().bucket(&self.bucket).key(key).checksum_algorithm(ChecksumAlgorithm::Sha256);
        let put = put.checksum_sha256(&checksum);
        let put = put.server_side_encryption(encryption).set_ssekms_key_id(kms_key);
        let put = put.set_if_none_match((if_there == IfThere::Refuse).then(|| "*".to_owned()));
        let kept = put.body(ByteStream::from(body)).send().await;
        let kept = kept.map_err(|error| match status(&error) {
            Some(412) => TargetError::Exists(key.to_owned()),
            _ => self.explain("s3:PutObject", &error),
        })?;
        self.check_encryption(key, kept.server_side_encryption())?;
        check_checksum(key, &checksum, kept.checksum_sha256())
    }

    /// Whether what is at `key` is what was sent: no two archives are alike, since each has a key of its own inside.
    async fn is_ours(&self, key: &str, sent: &Sent) -> Result<bool, TargetError> {
        let head = self.client.head_object().bucket(&self.bucket).key(key).checksum_mode(ChecksumMode::Enabled);
        match head.send().await {
            Ok(head) => Ok(head.content_length().and_then(|bytes| u64::try_from(bytes).ok()) == Some(sent.bytes)
                && head.checksum_sha256() == Some(&sent.checksum)),
            Err(error) if status(&error) == Some(404) => Ok(false),
            Err(error) => Err(self.explain("s3:GetObject", &error)),
        }
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

    pub(in crate::target) async fn put_manifest(&self, name: &BackupName, json: String) -> Result<(), TargetError> {
        let key = self.key(&name.manifest());
        match self.put(&key, Bytes::from(json.clone()), IfThere::Refuse).await {
            // A call whose answer was lost is made again, and then finds what it has put there itself.
            Err(TargetError::Exists(_)) if self.manifest(name).await? == json.as_bytes() => Ok(()),
            Err(error @ TargetError::Wrong(_)) => {
                self.take_back(&key).await;
                Err(error)
            }
            put => put,
        }
    }

    /// Empties a manifest that was kept in another way than was asked for, so that its backup does not count: the role may
    /// not delete.
    async fn take_back(&self, key: &str) {
        match self.put(key, Bytes::new(), IfThere::Overwrite).await {
            // How nothing is kept does not matter.
            Ok(()) | Err(TargetError::Wrong(_)) => {}
            Err(error) => {
                tracing::error!(%error, key, "a manifest that was not kept as it should be could not be emptied: remove it by hand");
            }
        }
    }

    /// Gives up the upload in parts that was begun. What was finished stays, for the bucket's lifecycle.
    pub(in crate::target) async fn abort_upload(&self) {
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Begun { key, id }) = begun else { return };
        let abort = self.client.abort_multipart_upload().bucket(&self.bucket).key(&key).upload_id(id);
        if let Err(error) = abort.send().await {
            let error = self.explain("s3:AbortMultipartUpload", &error);
            tracing::warn!(%error, key, "the parts of an upload could not be removed; the bucket's lifecycle should do it");
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
