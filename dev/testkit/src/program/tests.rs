use super::*;

/// A program of a few words.
fn script(text: &str) -> Launch {
    Launch::new("/bin/sh").arg("-c").arg(text)
}

/// Says that it is up, and waits for whatever comes.
const UP: &str = r#"echo '{"message":"listening","address":"127.0.0.1:4321"}' >&2; exec /bin/sleep 600"#;

#[tokio::test]
async fn its_environment_is_what_the_test_gave_and_its_secrets_are_in_a_private_file() {
    let finished = script(
        r#"/usr/bin/env | /usr/bin/sort; /usr/bin/stat -c %a "$WARDPOST_ENV_FILE"; /bin/cat "$WARDPOST_ENV_FILE""#,
    )
    .env("GIVEN", "x")
    .secret("APP_SECRET", "a$b")
    .run()
    .await;
    let lines: Vec<_> =
        finished.stdout.lines().filter(|line| !line.starts_with("PWD=") && !line.starts_with("_=")).collect();
    assert_eq!(lines[0], "GIVEN=x", "{finished:?}");
    assert!(lines[1].starts_with("WARDPOST_ENV_FILE="), "{finished:?}");
    assert_eq!(lines[2..], ["600", r#"APP_SECRET="a\$b""#], "{finished:?}");
}

#[tokio::test]
async fn a_command_gives_its_exit_code_and_all_it_wrote() {
    let finished = script("echo out; echo err >&2; echo more; exit 69").run().await;
    assert_eq!((finished.code(), &*finished.stdout, &*finished.stderr), (Some(69), "out\nmore\n", "err\n"));
}

#[tokio::test]
async fn more_than_a_pipe_holds_is_read_while_nobody_looks() {
    let finished = script("i=0; while [ $i -lt 20000 ]; do echo 0123456789; i=$((i+1)); done >&2").run().await;
    assert_eq!(finished.stderr.lines().count(), 20_000);
}

#[tokio::test]
async fn its_address_and_its_lines_are_found() {
    let program = script(UP).start();
    assert_eq!(program.address().await.port(), 4321);
    let line = program.wait_for_line("anything", SOON, |_| true).await;
    assert_eq!((line.message(), line.field("missing")), ("listening", ""));
    assert_eq!(program.log(), [line]);
}

#[tokio::test]
#[should_panic(expected = "no line with a miracle within 30s, its log has ended")]
async fn a_line_that_cannot_come_any_more_is_not_waited_for() {
    let program = script("echo nothing >&2").start();
    program.wait_for_line("a miracle", SOON, |line| line.text == "miracle").await;
}

#[tokio::test]
async fn it_can_be_asked_to_stop_or_killed() {
    use std::os::unix::process::ExitStatusExt;

    let mut polite = script(r#"trap 'exit 7' TERM; echo up >&2; while :; do :; done"#).start();
    polite.wait_for_line("up", SOON, |line| line.text == "up").await;
    assert_eq!(polite.exit_status(), None);
    assert_eq!(polite.terminate().await.code(), Some(7));
    assert_eq!(polite.terminate().await.code(), Some(7), "asking one that has ended changes nothing");

    let mut killed = script(UP).start();
    killed.address().await;
    assert_eq!(killed.kill().await.signal(), Some(9));
}

#[tokio::test]
async fn it_dies_with_the_value_that_holds_it() {
    let program = script(UP).start();
    program.address().await;
    let pid = Pid::from_raw(program.pid());
    let mut log = program.log.clone();
    drop(program);
    // The pipe closes when the last process that has it is gone.
    timeout(SOON, log.wait_for(|written| written.ended)).await.expect("it has ended").expect("its reader");
    wait_until("its process to be gone", SOON, async || {
        match kill(pid, None) {
            Err(nix::errno::Errno::ESRCH) => Ok(()),
            // Killed, and waiting to be reaped by the runtime.
            seen => Err(seen),
        }
    })
    .await;
}

#[tokio::test]
#[should_panic(expected = "ended with exit status: 3 before it was ready")]
async fn one_that_ends_before_it_is_ready_fails_at_once() {
    script("exit 3").start().wait_until_ready("http://127.0.0.1:1/readyz").await;
}

#[test]
fn a_line_that_is_no_object_has_no_fields() {
    for text in ["plain", "[1]", "12", ""] {
        let line = LogLine::new(text.to_owned());
        assert_eq!((line.message(), &line.fields), ("", &Value::Null), "{text:?}");
    }
}
