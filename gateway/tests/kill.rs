//! A server that is killed under load, again and again: a ledger kept by the writers says what must be there.
//!
//! `KILL_ROUNDS=200 cargo test -p proscenium-gateway --test kill` runs more rounds than the ten of the suite.

#[allow(dead_code, reason = "the tests of power cuts use the rest")]
mod ledger;

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;

use ledger::{Ledger, Server, check, num_rounds, round};
use proscenium_engine::testing::Random;

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn every_acknowledged_row_survives_the_death_of_the_server() {
    let rounds = num_rounds("KILL_ROUNDS", 10);
    let folder = Folder(std::env::temp_dir().join(format!("proscenium-kill-{}", std::process::id())));
    fs::create_dir_all(&folder.0).expect("a folder");
    let config = folder.0.join("proscenium.toml");
    fs::write(&config, "[storage]\npath = \"data\"\ncheckpoint_bytes = \"64KiB\"\n").expect("a file");
    let mut random = Random::new(rounds);
    let ledger = Mutex::new(Ledger::default());
    for _ in 0..rounds {
        round(&config, &ledger, 20 + random.below(150) as u64, Server::kill);
    }
    let server = Server::start(&config);
    let mut ledger = ledger.into_inner().expect("a ledger");
    check(&server.address, &mut ledger);
    println!("{rounds} rounds, {} acknowledged writes, none lost", ledger.num_acknowledged());
    server.kill();
}
