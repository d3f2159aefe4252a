//! The files of a node are private to its owner, whatever umask the process has.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;

use crate::support::certificates::{Identity, authority};
use crate::support::{
    JSON, NOC, Program, Request, command, config_path, plain_client, set_mode, text, write_config,
    write_private,
};

/// Makes a command for a process with this umask.
fn under(umask: &str, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    let script = format!("umask {umask}; exec \"$0\" \"$@\"");
    shell.args(["-c", &script]).arg(command.get_program());
    shell.args(command.get_args());
    shell
}

/// Starts a node in such a process, with a map in it.
async fn serve(umask: &str, directory: &Path) -> Program {
    let mut serve = command(["serve", "--json", "--config"]);
    serve.arg(config_path(directory));
    let serve = under(umask, &serve);
    let started = tokio::task::spawn_blocking(move || Program::start(serve)).await;
    let program = started
        .expect("no panic")
        .unwrap_or_else(|end| panic!("{}", end.log));
    let url = format!("{}/n2s/v1/network-map", program.url);
    let map = json!({"network-map": {"ams": {"ipv4": ["192.0.2.0/24"]}}});
    let put = Request::to(&plain_client(), Method::PUT, &url).token(NOC);
    let answer = put.typed(JSON, map.to_string()).send().await;
    assert!(answer.status.is_success(), "{answer:?}");
    program
}

fn stop(program: Program) -> String {
    program.signal("TERM");
    program.end().log
}

fn mode(path: &Path) -> u32 {
    let metadata = fs::symlink_metadata(path).expect("it is there");
    metadata.permissions().mode() & 0o777
}

/// Returns a directory and all that is in it.
fn tree(root: &Path) -> Vec<PathBuf> {
    let mut found = vec![root.to_owned()];
    if root.is_dir() {
        for entry in fs::read_dir(root).expect("a directory") {
            found.extend(tree(&entry.expect("an entry").path()));
        }
    }
    found
}

/// Returns the files of a store that others than its owner can use in any way.
fn open(root: &Path) -> Vec<(PathBuf, u32)> {
    let found = tree(root)
        .into_iter()
        .map(|path| (path.clone(), mode(&path)));
    found
        .filter(|(path, mode)| *mode != if path.is_dir() { 0o700 } else { 0o600 })
        .collect()
}

#[tokio::test]
async fn what_a_node_makes_is_its_owners_alone_and_what_was_there_becomes_so() {
    for umask in ["000", "022"] {
        let directory = TempDir::new().expect("a directory");
        write_config(directory.path(), "");
        let store = directory.path().join("store");
        let program = serve(umask, directory.path()).await;
        assert!(tree(&store).len() > 3, "{:?}", tree(&store));
        assert_eq!(open(&store), [], "while it runs under {umask}");
        let log = stop(program);
        assert!(!log.contains("others could reach"), "{log}");
        assert_eq!(open(&store), [], "when it has ended under {umask}");
        assert_eq!(mode(&directory.path().join("store.key")), 0o600);

        let export = directory.path().join("export.jsonl");
        let mut exported = command(["store", "export", "--config"]);
        exported.arg(config_path(directory.path()));
        exported.arg(&export);
        let ended = under(umask, &exported).output().expect("the program");
        assert!(ended.status.success(), "{}", text(&ended.stderr));
        assert_eq!(mode(&export), 0o600);

        // The modes that an older version left.
        for path in tree(&store) {
            set_mode(&path, 0o755);
        }
        let program = serve(umask, directory.path()).await;
        assert_eq!(open(&store), [], "{umask}");
        let log = stop(program);
        assert_eq!(
            log.matches("others could reach into the store").count(),
            1,
            "{log}"
        );
    }
}

#[test]
fn files_with_secrets_that_everybody_can_read_are_warned_of() {
    let directory = TempDir::new().expect("a directory");
    let site = Identity::new(&authority("ca"), &["localhost"]);
    let (secret, config) = (
        directory.path().join("secret"),
        config_path(directory.path()),
    );
    let [cert, key] = site.write(directory.path());
    write_private(&secret, "0123456789abcdef\n");
    write_config(
        directory.path(),
        &format!(
            "tls = {{ cert = {:?}, key = {:?} }}\n[[token]]\nname = \"filed\"\nscopes = []\n\
             secret_file = {secret:?}\n[[peer]]\ndomain = \"isp-b\"\n\
             directory = \"https://b.example/directory\"\ntoken_file = {secret:?}\n",
            cert, key,
        ),
    );
    set_mode(&key, 0o640);
    let warnings = || -> Vec<String> {
        let mut check = command(["check", "--json", "--config"]);
        let ended = check.arg(&config).output().expect("the program");
        assert!(ended.status.success(), "{}", text(&ended.stderr));
        let stated: serde_json::Value = serde_json::from_slice(&ended.stdout).expect("JSON");
        let mut plain = command(["check", "--config"]);
        let said = plain.arg(&config).output().expect("the program").stdout;
        let warnings = stated["warnings"].as_array().expect("warnings");
        let texts = warnings
            .iter()
            .map(|warning| warning.as_str().expect("text").to_owned());
        let texts: Vec<String> = texts.collect();
        assert!(texts.iter().all(|warning| text(&said).contains(warning)));
        texts
    };
    assert_eq!(warnings(), [] as [&str; 0]);
    for (file, keys) in [
        (
            &secret,
            &["token[1].secret_file: ", "peer[1].token_file: "][..],
        ),
        (
            &key,
            &["node.tls: everybody on this machine can read or write the file of `tls.key`"],
        ),
        (
            &config,
            &["token[2].secret: the secret stands in this file"],
        ),
    ] {
        let before = mode(file);
        set_mode(file, 0o644);
        let warned = warnings();
        assert_eq!(warned.len(), keys.len(), "{warned:?}");
        for (warning, key) in warned.iter().zip(keys) {
            assert!(warning.contains(key), "{warning}");
            assert!(warning.contains("`chmod o-rw` it"), "{warning}");
            assert!(!warning.contains("secret\""), "{warning}");
        }
        let program =
            Program::run(&config, &["--json"]).unwrap_or_else(|end| panic!("{}", end.log));
        let mut seen = 0;
        for warning in &warned {
            seen = program.logs(warning, 0).max(seen);
        }
        program.signal("HUP");
        program.logs(&warned[0], seen);
        stop(program);
        set_mode(file, before);
    } // Whoever writes these says who is believed.
    for (file, keys) in [
        (&cert, &["write the file of `tls.cert`"][..]),
        (&config, &["write this file"]),
        (&secret, &["token[1].secret_file: ", "peer[1].token_file: "]),
    ] {
        let before = mode(file);
        set_mode(file, 0o602);
        let warned = warnings();
        assert_eq!(warned.len(), keys.len(), "{warned:?}");
        for (warning, key) in warned.iter().zip(keys) {
            assert!(
                warning.contains(key) && warning.contains("`chmod o-"),
                "{warning}"
            );
        }
        set_mode(file, before);
    }
}
