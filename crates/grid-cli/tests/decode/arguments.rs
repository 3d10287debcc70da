//! What `grid decode` is given, and what it refuses.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
    thread,
};

use crate::{
    common::TempDir,
    decode,
    recording::{Way, direction},
};

const REQUEST: &str = "hex:97 01 00 cd ea 60 09 0e 03 c4 04 72 65 71 30 4e 6e e9 c9";
const LINE: &str = "      0 Request mux=1 seq=0 flags=CRC|EOF deadline=60s handler=9 crc=ok \
                    payload=\"req0\" (4 bytes)\n";

#[test]
fn a_file_stdin_and_digits_are_the_same() {
    let bytes = hex::decode("970100cdea60090e03c404726571304e6ee9c9").unwrap();
    let dir = TempDir::new();
    let file = dir.write("recorded", &bytes);
    for (argument, stdin) in [
        (Some(REQUEST), &[][..]),
        (Some(file.to_str().unwrap()), &[]),
        (Some("-"), &bytes),
        (None, &bytes),
    ] {
        let ran = decode(argument.as_slice(), stdin);
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (Some(0), LINE),
            "{argument:?}"
        );
        assert_eq!(ran.stderr, "");
    }
}

#[test]
fn what_cannot_be_used_is_refused_in_one_line() {
    let dir = TempDir::new();
    let text = dir.write("text", "no capture");
    let text = text.to_str().unwrap();
    for (arguments, part) in [
        (&["/nowhere/at/all"][..], "'/nowhere/at/all'"),
        (&[dir.text()], dir.text()),
        (&["hex:97 0"], "odd"),
        (&["hex:97 xx"], "'x' at character 4"),
        (&["hex: "], "no digits"),
        (&["--as", "morse", "-"], "'morse'"),
        (&["--width", "-1", "-"], "--width"),
        (&["--pcap", text], "neither pcap nor pcapng"),
        (&["--pcap", text, "-"], "--pcap"),
        (&["--pcap", text, "--as", "hex"], "--as"),
        (&["a", "b"], "'b'"),
    ] {
        let ran = decode(arguments, &[]);
        assert_eq!(ran.code, Some(2), "{arguments:?}: {ran:?}");
        assert_eq!(ran.stdout, "", "{arguments:?}");
        assert_eq!(ran.stderr.lines().count(), 1, "{arguments:?}: {ran:?}");
        assert!(
            ran.stderr.starts_with("grid: ") && ran.stderr.contains(part),
            "{ran:?}"
        );
    }
}

#[test]
fn a_terminal_is_not_waited_for() {
    let pty = portable_pty::native_pty_system()
        .openpty(portable_pty::PtySize::default())
        .unwrap();
    let mut command = portable_pty::CommandBuilder::new(env!("CARGO_BIN_EXE_grid"));
    command.arg("decode");
    let mut child = pty.slave.spawn_command(command).unwrap();
    let mut output = BufReader::new(pty.master.try_clone_reader().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert_eq!(
        line.trim_end(),
        "grid: nothing to decode: give a file, 'hex:…', or '-' for stdin"
    );
    assert_eq!(child.wait().unwrap().exit_code(), 2);
}

#[test]
fn help_has_examples() {
    let ran = decode(&["--help"], &[]);
    assert_eq!(ran.code, Some(0));
    for part in [
        "Examples:",
        "grid decode --as hex",
        "--pcap -",
        "checksum_given",
        "--secrets",
    ] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
}

#[test]
fn tokens_are_shown_on_request_only() {
    for (name, secret) in [
        ("scripted_bad_crc", "token=\"debug\""),
        ("connect_first_frame_text", "a56465627567"),
        ("stream_twoway_subroute_by_client", "Bearer debug"),
    ] {
        let bytes = direction(name, Way::ToServer);
        for json in [&["--width", "0"][..], &["--json", "--width", "0"]] {
            let hidden = decode(json, &bytes);
            assert!(!hidden.stdout.contains("debug"), "{}", hidden.stdout);
            assert!(
                !hidden.stdout.contains(&hex::encode("debug")),
                "{}",
                hidden.stdout
            );
            let shown = decode(&[json, &["--secrets"]].concat(), &bytes);
            let text = shown.stdout.replace("token\":\"", "token=\"");
            assert!(text.contains(secret), "{text}");
            assert_eq!(shown.stdout.lines().count(), hidden.stdout.lines().count());
        }
    }
}

#[test]
fn nothing_reaches_the_terminal_raw() {
    // An error of escapes, a carriage return, a C1 control and a right-to-left override.
    let text = "\u{1b}[2J\r\u{9b}x\u{202e}";
    let payload = text.as_bytes();
    let mut message = vec![
        0x97,
        1,
        0,
        0,
        0,
        0x0f,
        0x08,
        0xc4,
        payload.len().try_into().unwrap(),
    ];
    message.extend_from_slice(payload);
    let ran = decode(&[], &message);
    assert!(
        ran.stdout
            .ends_with("crc=none error=\"\\u001b[2J\\r\\u009bx\\u202e\"\n"),
        "{:?}",
        ran.stdout
    );
    let ran = decode(&["--json"], &message);
    let line = ran.stdout.trim_end();
    assert!(
        !line.contains(char::is_control) && !line.contains('\u{202e}'),
        "{line:?}"
    );
    let json: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(json["structure"]["error"], text);
}

#[test]
fn payloads_are_cut_and_subroutes_named() {
    let ran = decode(&["--width", "3", REQUEST], &[]);
    assert!(
        ran.stdout.contains("payload=\"re… (4 bytes)"),
        "{}",
        ran.stdout
    );
    let ran = decode(&["--width", "0", REQUEST], &[]);
    assert_eq!(ran.stdout, LINE);
    let bytes = direction("stream_twoway_subroute_by_client", Way::ToServer);
    let ran = decode(&["--route", "other", "--route", "subroute/1"], &bytes);
    assert!(
        ran.stdout
            .contains("handler=10 route=\"subroute/1\" crc=ok"),
        "{}",
        ran.stdout
    );
    let ran = decode(&[], &bytes);
    assert!(
        ran.stdout.contains("handler=10 subroute=0a0013d069cc"),
        "{}",
        ran.stdout
    );
}

#[test]
fn it_ends_when_its_reader_goes() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_grid"))
        .args(["decode", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let bytes = hex::decode("970100cdea60090e03c404726571304e6ee9c9").unwrap();
    // Without an end: only the reader's going can end it.
    let writer = thread::spawn(move || while stdin.write_all(&bytes).is_ok() {});
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, LINE);
    drop(stdout);
    let ended = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert_eq!(ended.status.code(), Some(141));
    let stderr = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(
        stderr,
        "grid: the reader of stdout has gone: the messages\n"
    );
}

#[test]
fn credit_that_is_counted_is_no_deadline() {
    // The same message but for its op: UnblockClMux, UnblockSrvMux, Ping; and one that returns a single credit.
    for (op, count, wanted) in [
        ("0c", "19", "UnblockClMux mux=7 seq=2 flags=- credits=25 "),
        ("0b", "19", "UnblockSrvMux mux=7 seq=2 flags=- credits=25 "),
        ("03", "19", "Ping mux=7 seq=2 flags=- deadline=25ms "),
        (
            "0c",
            "00",
            "UnblockClMux mux=7 seq=2 flags=- deadline=none ",
        ),
    ] {
        let ran = decode(&[&format!("hex:97 07 02 {count} 00 {op} 00 c4 00")], &[]);
        assert!(ran.stdout.contains(wanted), "{}", ran.stdout);
    }
}
