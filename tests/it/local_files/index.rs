//! What git tracks, as git itself writes it down.

use std::process::Command;

use secretzero::disk::{Disk as _, SystemDisk};
use secretzero::provider::{ErrorKind, Expect};

use super::{World, place_in};

/// Runs git in the folder of a world, and insists that it succeeds.
fn git(world: &World, arguments: &[&str]) {
    let mut command = Command::new("git");
    command.current_dir(world.folder.path()).args(["-c", "user.name=a", "-c", "user.email=a@b"]);
    let ran = command.args(arguments).output().unwrap();
    assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
}

#[tokio::test]
async fn what_git_tracks_is_known_from_every_kind_of_index() {
    for format in ["sha1", "sha256"] {
        for version in ["2", "4"] {
            let world = World::new();
            let refused = async |path: &str| {
                let error = world.write(&place_in(path, "B"), "v", 1, Expect::Absent).await.err();
                error.is_some_and(|error| error.message.contains(&format!("git tracks `{path}`")))
            };
            git(&world, &["init", "-q", &format!("--object-format={format}")]);
            for name in ["a.env", "config/b.env", "config/c.env", "gone.env"] {
                world.put(name, "A=1\n");
            }
            git(&world, &["add", "."]);
            git(&world, &["update-index", "--index-version", version]);
            assert!(refused("config/b.env").await, "{format} {version}: whole");
            // All paths move to `sharedindex.HASH`; then one is dropped, one replaced and one added.
            git(&world, &["update-index", "--split-index"]);
            assert!(refused("config/b.env").await, "{format} {version}: split");
            git(&world, &["-c", "splitIndex.maxPercentChange=100", "rm", "-q", "--cached", "gone.env"]);
            world.put("config/c.env", "A=22\n");
            world.put("new.env", "A=1\n");
            git(&world, &["-c", "splitIndex.maxPercentChange=100", "add", "new.env", "config/c.env"]);
            for path in ["a.env", "config/b.env", "config/c.env", "new.env"] {
                assert!(refused(path).await, "{format} {version}: {path}");
            }
            world.create(&place_in("gone.env", "B"), "v").await;
            // A file that is tracked and not there, nor its folder, is tracked all the same.
            std::fs::rename(world.path("config"), world.path("moved")).unwrap();
            assert!(refused("config/b.env").await, "{format} {version}: no folder");
        }
    }
}

#[tokio::test]
async fn where_the_index_is_not_understood_nothing_is_read_or_written() {
    let world = World::new();
    git(&world, &["init", "-q"]);
    world.put("a.env", "A=1\n");
    git(&world, &["add", "a.env"]);
    let index = std::fs::read(world.path(".git/index")).unwrap();
    let (body, hash) = index.split_at(index.len() - 20);
    let with = |extension: &[u8]| [body, extension, &[0, 0, 0, 1, b'x'], hash].concat();
    let version = [&index[..7], &[9], &index[8..]].concat();
    for (bytes, words) in [
        (with(b"zany"), "it needs the extension `zany`"),
        (with(b"link"), "it ends too early"),
        (version, "its version is 9"),
        (index[..index.len() - 30].to_vec(), "it ends too early"),
        (b"garbage that is long enough".to_vec(), "it does not begin as one"),
    ] {
        SystemDisk.replace(&world.path(".git/index"), &bytes).unwrap();
        for path in ["a.env", "b.env"] {
            let error = world.write(&place_in(path, "B"), "v", 1, Expect::Absent).await.unwrap_err();
            assert!(error.kind == ErrorKind::Invalid && error.message.contains(words), "{words}: {error}");
            assert!(world.look(&place_in(path, "A")).await.is_err());
        }
    }
    assert!(!world.path("b.env").exists() && !world.path(".secretzero.json").exists());
    assert_eq!(world.text("a.env"), "A=1\n");
    // What need not be understood does not matter.
    SystemDisk.replace(&world.path(".git/index"), &with(b"ZANY")).unwrap();
    world.create(&place_in("b.env", "B"), "v").await;

    SystemDisk.replace(&world.path(".git/config"), b"[Extensions] objectFormat = sha3 # new\n").unwrap();
    let error = world.write(&place_in("c.env", "B"), "v", 1, Expect::Absent).await.unwrap_err();
    assert!(error.message.contains("its object format is unknown"), "{error}");
}
