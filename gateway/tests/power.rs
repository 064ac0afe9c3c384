//! The power is cut under load: the file system of the data directory is shut down without flushing, then mounted again.
//!
//! Needs root and loop devices; skipped with a line that says so where they are missing. `POWER_ROUNDS=100 cargo test -p
//! proscenium-gateway --test power -- --nocapture` runs more rounds than the two of the suite.
#![cfg(target_os = "linux")]

mod ledger;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use ledger::{Ledger, Server, ask, check, num_rounds, round};
use proscenium_engine::testing::Random;

/// `FS_IOC_SHUTDOWN` without flushing the journal.
const CUT: &str = "import fcntl, os, struct, sys; \
    fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack('I', 2))";

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// A file system in a file.
struct Mount {
    folder: PathBuf,
}

impl Mount {
    /// `None` if this machine does not allow it.
    fn new(kind: &str) -> Option<Mount> {
        Mount::in_folder(kind, |_| true)
    }

    /// An ext4 whose device has fewer bytes than it says: what it has no place for is lost when it is synced.
    fn on_short_device() -> Option<Mount> {
        Mount::in_folder("ext4", |folder| {
            succeeds("mount", &["-t", "tmpfs", "-o", "size=64m", "tmpfs", folder.to_str().expect("a path")])
        })
    }

    /// Leaves no place on a short device.
    fn fill_device(&self) {
        let mut filler = fs::File::create(self.folder.join("filler")).expect("a file");
        for bytes in [1 << 16, 1 << 12] {
            while filler.write_all(&vec![0; bytes]).is_ok() {}
        }
    }

    fn in_folder(kind: &str, prepare: impl FnOnce(&Path) -> bool) -> Option<Mount> {
        static MOUNTS: AtomicUsize = AtomicUsize::new(0);
        let number = MOUNTS.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("proscenium-power-{kind}-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        if !prepare(&folder) {
            let _ = fs::remove_dir_all(&folder);
            return None;
        }
        fs::create_dir_all(folder.join("mounted")).expect("a folder");
        let mount = Mount { folder };
        let image = fs::File::create(mount.image()).expect("a file");
        // The least that xfs takes.
        image.set_len(320 << 20).expect("a file");
        let is_made = succeeds(&format!("mkfs.{kind}"), &["-q", mount.image().to_str().expect("a path")]);
        (is_made && mount.mount()).then_some(mount)
    }

    fn image(&self) -> PathBuf {
        self.folder.join("image")
    }

    fn path(&self) -> PathBuf {
        self.folder.join("mounted")
    }

    fn mount(&self) -> bool {
        let (image, path) = (self.image(), self.path());
        succeeds("mount", &["-o", "loop", image.to_str().expect("a path"), path.to_str().expect("a path")])
    }

    fn cut_power(&self) -> bool {
        succeeds("python3", &["-c", CUT, self.path().to_str().expect("a path")])
    }

    fn unmount(&self) -> bool {
        succeeds("umount", &[self.path().to_str().expect("a path")])
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        self.unmount();
        // Only a short device is mounted here.
        succeeds("umount", &[self.folder.to_str().expect("a path")]);
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn survive(kind: &str) {
    let Some(mount) = Mount::new(kind) else {
        return println!("skipped: {kind} cannot be made and mounted here (root, mkfs.{kind}, loop devices)");
    };
    let rounds = num_rounds("POWER_ROUNDS", 2);
    let config = mount.folder.join("proscenium.toml");
    let settings = "[storage]\npath = \"mounted/data\"\ncheckpoint_bytes = \"64KiB\"\n";
    fs::write(&config, settings).expect("a file");
    let mut random = Random::new(rounds);
    let ledger = Mutex::new(Ledger::default());
    for _ in 0..rounds {
        let end = |server: Server| {
            // A sync that is on its way may return a success that a machine without power would not return. A program of one
            // thread that appends 512 bytes and calls fdatasync in a loop shows it: on ext4 (Linux 6), in 6 of 55 shutdowns the
            // last call that succeeded returned after the ioctl had begun, in 3 of those after it had ended, and its bytes
            // were gone after the next mount. Where its beginning was noted, too (3 of the 6), it was before the ioctl's. Bytes of
            // calls that had returned before were never missing; on xfs, in 55 shutdowns, none were. So the server is kept
            // from passing on what returns from here on.
            server.freeze();
            let is_cut = mount.cut_power();
            server.kill();
            assert!(is_cut, "{kind} could not be shut down");
        };
        round(&config, &ledger, 20 + random.below(150) as u64, end);
        assert!(mount.unmount() && mount.mount(), "{kind} could not be mounted again");
    }
    let server = Server::start(Path::new(&config));
    let mut ledger = ledger.into_inner().expect("a ledger");
    check(&server.address, &mut ledger);
    println!("{kind}: {rounds} power cuts, {} acknowledged writes, none lost", ledger.num_acknowledged());
    server.kill();
}

#[test]
fn every_acknowledged_row_survives_a_power_cut_on_ext4() {
    survive("ext4");
}

#[test]
fn every_acknowledged_row_survives_a_power_cut_on_xfs() {
    survive("xfs");
}

#[test]
fn a_full_disk_refuses_writes_and_recovers_by_itself() {
    let Some(mount) = Mount::new("ext4") else {
        return println!("skipped: ext4 cannot be made and mounted here (root, mkfs.ext4, loop devices)");
    };
    let config = mount.folder.join("proscenium.toml");
    fs::write(&config, "[storage]\npath = \"mounted/data\"\n").expect("a file");
    let server = Server::start(&config);
    let write = || ask(&server.address, "POST", "/api/v1/tables/t", "x\n1\n").expect("an answer");
    assert_eq!(write().0, 201);
    let filler = mount.path().join("filler");
    let mut file = fs::File::create(&filler).expect("a file");
    while file.write_all(&[0; 1 << 16]).is_ok() {}
    while file.write_all(&[0; 512]).is_ok() {}
    let refused = std::iter::repeat_with(write).take(5_000).find(|(status, _)| *status != 200);
    let (status, text) = refused.expect("the disk is full");
    assert_eq!(status, 507, "{text}");
    assert!(text.contains("disk_full") && text.contains("No space left"), "{text}");
    let (status, _) = ask(&server.address, "GET", "/api/v1/tables/t", "").expect("an answer");
    assert_eq!(status, 200, "reads go on");
    assert_eq!(ask(&server.address, "GET", "/health/live", "").expect("an answer").0, 200);
    drop(file);
    fs::remove_file(filler).expect("a file");
    let rows = |server: &Server| {
        let (_, status) = ask(&server.address, "GET", "/api/v1/tables/t/status", "").expect("an answer");
        status
    };
    assert_eq!(write().0, 200);
    let before = rows(&server);
    server.kill();
    let server = Server::start(&config);
    let count =
        |status: &str| status.split("\"rows\":").nth(1).map(|rest| rest.split(',').next().map(str::to_owned));
    assert_eq!(count(&rows(&server)), count(&before));
}

#[test]
fn a_failed_sync_ends_the_server() {
    let Some(mount) = Mount::on_short_device() else {
        return println!(
            "skipped: ext4 on tmpfs cannot be made and mounted here (root, mkfs.ext4, loop devices)"
        );
    };
    let (config, config_folder) = (mount.folder.join("proscenium.toml"), mount.path());
    fs::write(&config, "[storage]\npath = \"mounted/data\"\n").expect("a file");
    let server = Server::start(&config);
    let address = server.address.clone();
    let body = format!("text\n{}\n", "x".repeat(20_000));
    let write = || ask(&address, "POST", "/api/v1/tables/t", &body);
    assert_eq!(write().expect("an answer").0, 201);
    assert_eq!(write().expect("an answer").0, 200);
    mount.fill_device();
    let mut acknowledged = 2;
    let text = loop {
        match write().expect("an answer") {
            // The device had a place for it.
            (200, _) => acknowledged += 1,
            (status, text) => {
                assert_eq!(status, 503, "{text}");
                break text;
            }
        }
    };
    assert!(text.contains("not_durable") && text.contains("a sync failed: "), "{text}");
    for path in ["/health/live", "/health/ready"] {
        // They say so a moment after the writer's answer; the server ends later.
        let mut said = std::iter::repeat_with(|| ask(&address, "GET", path, "").expect("an answer"));
        let (status, text) = said.find(|(status, _)| *status != 200).expect("it goes on");
        assert_eq!(status, 503, "{text}");
        assert!(text.contains("\"failed\"") && text.contains("a sync failed: "), "{text}");
    }
    // Nothing is acknowledged any more, until it ends.
    while let Some((status, text)) = write() {
        assert_eq!(status, 503, "{text}");
    }
    let (code, errors) = server.ended();
    assert_eq!(code, Some(1), "{errors}");
    let line = errors.lines().last().unwrap_or_default();
    assert!(line.starts_with("proscenium: the data directory failed: a sync failed: "), "{errors}");
    // With a whole device it starts again, with all that was acknowledged.
    fs::remove_file(mount.folder.join("filler")).expect("a file");
    assert!(mount.unmount() && mount.mount(), "{} could not be mounted again", config_folder.display());
    let server = Server::start(&config);
    let (_, rows) = ask(&server.address, "GET", "/api/v1/tables/t", "").expect("an answer");
    assert!(rows.lines().count() >= acknowledged, "{} of {acknowledged}", rows.lines().count());
}

#[test]
fn a_start_on_a_full_disk_serves_and_recovers_by_itself() {
    let Some(mount) = Mount::new("ext4") else {
        return println!("skipped: ext4 cannot be made and mounted here (root, mkfs.ext4, loop devices)");
    };
    let config = mount.folder.join("proscenium.toml");
    fs::write(&config, "[storage]\npath = \"mounted/data\"\n").expect("a file");
    let server = Server::start(&config);
    let write =
        |server: &Server| ask(&server.address, "POST", "/api/v1/tables/t", "x\n1\n").expect("an answer");
    assert_eq!(write(&server).0, 201);
    assert_eq!(write(&server).0, 200);
    server.kill();
    let filler = mount.path().join("filler");
    let mut file = fs::File::create(&filler).expect("a file");
    for bytes in [1 << 16, 512] {
        while file.write_all(&vec![0; bytes]).is_ok() {}
    }
    file.sync_all().expect("what was written fits");
    for _ in 0..2 {
        let server = Server::start(&config);
        let (status, rows) = ask(&server.address, "GET", "/api/v1/tables/t", "").expect("an answer");
        assert_eq!((status, rows.lines().count()), (200, 2), "{rows}");
        let (status, text) = write(&server);
        assert_eq!(status, 507, "{text}");
        assert!(text.contains("disk_full"), "{text}");
        server.kill();
    }
    let server = Server::start(&config);
    drop(file);
    fs::remove_file(filler).expect("a file");
    // Blocks are free once the file system has committed the removal.
    assert!(succeeds("sync", &[]));
    assert_eq!(write(&server).0, 200);
    server.kill();
    let server = Server::start(&config);
    let (_, rows) = ask(&server.address, "GET", "/api/v1/tables/t", "").expect("an answer");
    assert_eq!(rows.lines().count(), 3, "{rows}");
}
