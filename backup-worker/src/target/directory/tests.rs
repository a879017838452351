use super::*;
use crate::pipe::pipe;

fn name(day: i64) -> BackupName {
    BackupName::new(Timestamp::from_millis(1_790_000_000_000 + day * 86_400_000))
}

fn target() -> (tempfile::TempDir, DirectoryTarget) {
    let folder = tempfile::TempDir::new().unwrap();
    let target = DirectoryTarget::open(folder.path()).unwrap();
    (folder, target)
}

async fn keep(target: &DirectoryTarget, name: &BackupName, bytes: &[u8]) -> Result<u64, TargetError> {
    let (sender, receiver) = pipe();
    let bytes = bytes.to_vec();
    tokio::spawn(async move {
        for chunk in [Chunk::Data(bytes.into()), Chunk::End] {
            let _ = sender.send(chunk).await;
        }
    });
    target.upload(name, receiver).await
}

#[tokio::test]
async fn an_archive_counts_with_its_manifest_and_is_never_replaced() {
    let (folder, target) = target();
    assert_eq!(keep(&target, &name(0), b"archive").await, Ok(7));
    assert_eq!(target.list(), Ok(vec![]));
    assert_eq!(target.manifest(&name(0)), Err(TargetError::NoManifest(name(0))));
    target.put_manifest(&name(0), "{}").unwrap();
    assert_eq!(target.list(), Ok(vec![Listed { name: name(0), bytes: 7 }]));
    assert_eq!(target.put_manifest(&name(0), "[]"), Err(TargetError::Exists(name(0).to_string())));
    assert_eq!(keep(&target, &name(0), b"other").await, Err(TargetError::Exists(name(0).to_string())));
    assert_eq!(target.manifest(&name(0)).unwrap(), b"{}");
    assert_eq!(fs::read(folder.path().join(name(0).to_string())).unwrap(), b"archive");
    assert_eq!(target.manifest(&name(1)), Err(TargetError::Missing(name(1).to_string())));
}

#[tokio::test]
async fn what_has_no_end_gets_no_name() {
    let (folder, target) = target();
    let (sender, receiver) = pipe();
    sender.send(Chunk::Data(b"half".as_slice().into())).await.unwrap();
    drop(sender);
    assert_eq!(target.upload(&name(0), receiver).await, Err(TargetError::BrokenOff));
    assert!(!target.archive(&name(0)).exists());
    let half = unfinished(&target.archive(&name(0)));
    assert!(half.exists());
    // Of a run that was killed; what somebody else calls so is theirs.
    fs::write(folder.path().join("thesis.unfinished"), "mine").unwrap();
    let next = DirectoryTarget::open(folder.path()).unwrap();
    // A write that was under way when its writer gave up still holds it for a moment.
    let cleared = tokio::time::timeout(Duration::from_secs(10), async {
        while half.exists() {
            next.clear_unfinished().unwrap();
            tokio::task::yield_now().await;
        }
    });
    cleared.await.unwrap();
    assert!(folder.path().join("thesis.unfinished").exists());
}

/// Two machines that share a directory begin in the same second.
#[tokio::test]
async fn two_that_write_the_same_name_neither_mix_nor_remove_what_the_other_makes() {
    let (folder, one) = target();
    let other = DirectoryTarget::open(folder.path()).unwrap();
    let (sender, receiver) = pipe();
    let same = name(0);
    let half = unfinished(&one.archive(&same));
    let upload = one.upload(&same, receiver);
    let meanwhile = async {
        sender.send(Chunk::Data(b"arch".as_slice().into())).await.unwrap();
        while !half.exists() {
            tokio::task::yield_now().await;
        }
        other.clear_unfinished().unwrap();
        let refused = keep(&other, &name(0), b"other").await;
        assert!(matches!(refused, Err(TargetError::Exists(_))), "{refused:?}");
        other.discard();
        sender.send(Chunk::Data(b"ive".as_slice().into())).await.unwrap();
        sender.send(Chunk::End).await.unwrap();
    };
    assert_eq!(tokio::join!(upload, meanwhile).0, Ok(7));
    assert_eq!(fs::read(one.archive(&name(0))).unwrap(), b"archive");
    one.put_manifest(&name(0), "{}").unwrap();
    // Refused at the end, it takes only its own away.
    assert!(keep(&other, &name(0), b"other").await.is_err());
    other.discard();
    assert_eq!(one.list(), Ok(vec![Listed { name: name(0), bytes: 7 }]));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[tokio::test]
async fn age_removes_all_but_the_one_to_keep() {
    let (folder, target) = target();
    for day in 0..4 {
        keep(&target, &name(day), b"archive").await.unwrap();
        target.put_manifest(&name(day), "{}").unwrap();
    }
    // Left by a run that was killed between archive and manifest.
    keep(&target, &name(-1), b"archive").await.unwrap();
    fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    let removed = target.prune(1, Some(&name(1)), name(3).at()).unwrap();
    assert_eq!(removed, [name(-1), name(0)]);
    let left: Vec<_> = target.list().unwrap().into_iter().map(|listed| listed.name).collect();
    assert_eq!(left, [name(1), name(2), name(3)]);
    assert!(folder.path().join("notes.txt").exists());
}

#[test]
fn a_folder_that_is_not_there_is_not_made() {
    let (folder, _) = target();
    let path = folder.path().join("not-mounted");
    assert!(matches!(DirectoryTarget::open(&path), Err(TargetError::Unavailable(_))));
    assert!(!path.exists());
}
