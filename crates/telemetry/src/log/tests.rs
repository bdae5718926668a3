//! What an event becomes, and that nothing an output does stops the service or breaks a line.

use std::error::Error;
use std::io::{self, Read};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::{fmt, thread};

use serde_json::Value;
use tenfold_config::ByteSize;
use tenfold_context::{Context, RequestId};
use tracing::{debug, error, info, info_span, trace, warn};

use super::level::{Counts, Totals};
use super::*;

const LONG: Duration = Duration::from_secs(30);

/// The lines that `log` leaves, with time, process and host taken out.
fn lines(log: impl FnOnce()) -> String {
    let captured = CapturedLog::new();
    let (subscriber, guard) =
        subscriber(&LogSettings::default(), "store", captured.target()).unwrap();
    tracing::subscriber::with_default(subscriber, log);
    drop(guard);
    let fixed = String::from_utf8(fixed_fields("store")).unwrap();
    let text = captured.text();
    let lines = text.lines().map(|line| {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error} in {line}"));
        let (level, rest) = line.split_once(r#","time":"#).unwrap();
        let rest = rest.trim_start_matches(|digit: char| digit.is_ascii_digit());
        format!("{level}{}\n", rest.strip_prefix(&fixed).unwrap())
    });
    lines.collect()
}

#[test]
fn an_event_is_one_line() {
    let text = lines(|| {
        info!(order = 17, paid = true, weight = 0.5, customer = "a \"b\"\n", "order placed");
        warn!("slow");
        error!(code = ?Some(1), text = %"shown", "failed {}", 1);
        debug!("not shown");
        trace!("not shown");
    });
    assert_eq!(
        text,
        r#"{"level":30,"msg":"order placed","order":17,"paid":true,"weight":0.5,"customer":"a \"b\"\n"}
{"level":40,"msg":"slow"}
{"level":50,"msg":"failed 1","code":"Some(1)","text":"shown"}
"#
    );
}

#[test]
fn every_line_has_what_pino_writes() {
    let captured = CapturedLog::new();
    let (subscriber, guard) =
        subscriber(&LogSettings::default(), "store", captured.target()).unwrap();
    let before = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64;
    tracing::subscriber::with_default(subscriber, || info!("up"));
    drop(guard);
    let line: Value = serde_json::from_str(&captured.text()).unwrap();
    assert!((before..before + 60_000).contains(&line["time"].as_u64().unwrap()), "{line}");
    assert_eq!(line["pid"], process::id());
    assert!(!line["hostname"].as_str().unwrap().is_empty());
    assert_eq!(line["name"], "store");
}

#[test]
fn reserved_keys_get_a_mark() {
    let text = lines(|| {
        info!(level = 1, time = 2, pid = 3, hostname = 4, name = 5, msg = 6, r#type = 7, "seven");
    });
    assert_eq!(
        text,
        "{\"level\":30,\"msg\":\"seven\",\"level_\":1,\"time_\":2,\"pid_\":3,\"hostname_\":4,\
         \"name_\":5,\"msg_\":6,\"type\":7}\n"
    );
}

#[test]
fn fatal_is_a_level() {
    let text = lines(|| {
        error!(fatal = true, "gone");
        error!(fatal = false, "still here");
    });
    assert_eq!(
        text,
        "{\"level\":60,\"msg\":\"gone\"}\n{\"level\":50,\"msg\":\"still here\",\"fatal\":false}\n"
    );
}

#[test]
fn an_error_is_pinos_err() {
    let parse = "x".parse::<u8>().unwrap_err();
    let parse: &dyn Error = &parse;
    let text = lines(|| {
        error!(error = parse, "refused");
        error!(err = parse, error = parse, cause = parse);
        error!(error = %parse, "as a text");
    });
    let object = r#"{"type":"ParseIntError","message":"invalid digit found in string"}"#;
    assert_eq!(
        text,
        format!(
            "{{\"level\":50,\"msg\":\"refused\",\"err\":{object}}}\n\
             {{\"level\":50,\"err\":{object},\"error\":{object},\"cause\":{object}}}\n\
             {{\"level\":50,\"msg\":\"as a text\",\"error\":\"invalid digit found in string\"}}\n"
        )
    );
}

#[test]
fn fields_of_spans_are_in_and_the_inner_wins() {
    let text = lines(|| {
        let outer = info_span!("outer", a = 1, b = "outer", c = "outer", name = "x");
        let _outer = outer.enter();
        let inner = info_span!("inner", b = "inner", late = tracing::field::Empty);
        let _inner = inner.enter();
        inner.record("late", 1);
        inner.record("late", 2);
        info!(c = "event", "in both");
        info!(parent: &outer, "in one");
    });
    assert_eq!(
        text,
        r#"{"level":30,"msg":"in both","c":"event","b":"inner","late":2,"a":1,"name_":"x"}
{"level":30,"msg":"in one","a":1,"b":"outer","c":"outer","name_":"x"}
"#
    );
}

#[test]
fn a_line_names_its_request() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let context = Context::new().with_request_id(RequestId::given("abc").unwrap());
    let text = lines(|| {
        runtime.block_on(context.clone().scope(async {
            info!("arrived");
            context.set_route("/orders/{id}".into());
            info!("routed");
            info!(reqId = "own", "named by itself");
        }));
    });
    assert_eq!(
        text,
        r#"{"level":30,"reqId":"abc","msg":"arrived"}
{"level":30,"reqId":"abc","route":"/orders/{id}","msg":"routed"}
{"level":30,"route":"/orders/{id}","msg":"named by itself","reqId":"own"}
"#
    );
}

#[test]
fn a_value_may_log_while_it_is_shown() {
    struct Chatty;
    impl fmt::Display for Chatty {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            info!("inner");
            f.write_str("chatty")
        }
    }
    let text = lines(|| {
        info!(value = %Chatty, "outer");
        info!("after");
    });
    // tracing itself drops an event that is logged while another is being handled.
    let inner = "{\"level\":30,\"msg\":\"inner\"}\n";
    assert_eq!(
        text.replace(inner, ""),
        "{\"level\":30,\"msg\":\"outer\",\"value\":\"chatty\"}\n{\"level\":30,\"msg\":\"after\"}\n"
    );
}

#[test]
fn the_level_is_a_setting_for_each_part() {
    let settings =
        LogSettings { level: "warn,shop::cart=debug".parse().unwrap(), ..LogSettings::default() };
    let captured = CapturedLog::new();
    let (subscriber, guard) = subscriber(&settings, "store", captured.target()).unwrap();
    tracing::subscriber::with_default(subscriber, || {
        info!("hidden");
        warn!("shown");
        debug!(target: "shop::cart::line", "shown");
        trace!(target: "shop::cart::line", "hidden");
    });
    drop(guard);
    assert_eq!(captured.text().matches("shown").count(), 2);
    assert!(!captured.text().contains("hidden"));
}

#[test]
fn lines_of_a_thread_keep_their_order_and_all_arrive() {
    const THREADS: usize = 8;
    const LINES: u64 = 10_000;
    let settings = LogSettings { buffer_bytes: ByteSize::mib(64), ..LogSettings::default() };
    let captured = CapturedLog::new();
    let (subscriber, guard) = subscriber(&settings, "store", captured.target()).unwrap();
    let dispatch = tracing::Dispatch::new(subscriber);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let dispatch = &dispatch;
            scope.spawn(move || {
                tracing::dispatcher::with_default(dispatch, || {
                    (0..LINES).for_each(|line| info!(thread, line, "counted"));
                });
            });
        }
    });
    assert!(guard.flush(LONG));
    let totals = guard.queue.totals();
    assert_eq!(totals.lines.total(), THREADS as u64 * LINES);
    assert_eq!(totals.dropped.total(), 0);
    let mut next = [0; THREADS];
    for line in captured.text().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let thread = line["thread"].as_u64().unwrap() as usize;
        assert_eq!(line["line"], next[thread], "of thread {thread}");
        next[thread] += 1;
    }
    assert_eq!(next, [LINES; THREADS]);
}

#[test]
fn a_pipe_that_nobody_reads_never_blocks_and_info_goes_first() {
    let (mut reader, pipe) = io::pipe().unwrap();
    let settings = LogSettings { buffer_bytes: ByteSize::kib(64), ..LogSettings::default() };
    let (subscriber, guard) =
        subscriber(&settings, "store", LogTarget::Writer(Box::new(pipe))).unwrap();
    let registry = Registry::new();
    guard.register(&registry);
    assert!(registry.check().is_ok());
    let padding = "x".repeat(400);

    // Far more than the pipe (64 KiB, up to 1 MiB) and the buffer hold together.
    tracing::subscriber::with_default(subscriber, || {
        (0..10_000).for_each(|line| info!(line, padding, "small talk"));
        // The few that matter come last, when everything is full.
        (0..50).for_each(|line| warn!(line, "warning"));
        (0..50).for_each(|line| error!(line, "failure"));
    });
    let before = guard.queue.totals();
    assert!(before.dropped.of(Level::Info) > 1000, "{before:?}");
    assert_eq!((before.dropped.of(Level::Warn), before.dropped.of(Level::Error)), (0, 0));
    assert!(!guard.flush(Duration::from_millis(10)), "nobody reads yet");
    assert!(registry.encode().contains("tenfold_log_lines_total{level=\"info\"} 10000\n"));

    let text = thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            text
        });
        drop(guard);
        reading.join().unwrap()
    });
    let mut counts = Counts::default();
    let mut lost = 0;
    for line in text.lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        if value["msg"] == "log lines lost" {
            assert_eq!(value["level"], 40);
            lost += value["info"].as_u64().unwrap();
        } else {
            counts.count(Level::of_line(line.as_bytes()));
        }
    }
    assert_eq!(counts.of(Level::Warn) + counts.of(Level::Error), 100);
    assert_eq!(lost, before.dropped.of(Level::Info), "the log says how many were lost");
    assert_eq!(counts.of(Level::Info) + lost, 10_000);
    let dropped = format!("tenfold_log_dropped_lines_total{{level=\"info\"}} {lost}\n");
    assert!(registry.encode().contains(&dropped));
}

#[test]
fn eight_threads_and_a_slow_reader_add_up() {
    let (mut reader, pipe) = io::pipe().unwrap();
    let settings = LogSettings { buffer_bytes: ByteSize::kib(64), ..LogSettings::default() };
    let (subscriber, guard) =
        subscriber(&settings, "store", LogTarget::Writer(Box::new(pipe))).unwrap();
    let queue = guard.queue.clone();
    let dispatch = tracing::Dispatch::new(subscriber);
    let text = thread::scope(|scope| {
        for thread in 0..8 {
            let dispatch = &dispatch;
            scope.spawn(move || {
                tracing::dispatcher::with_default(dispatch, || {
                    (0..10_000).for_each(|line| match line % 3 {
                        0 => info!(thread, line, "counted"),
                        1 => warn!(thread, line, "counted"),
                        _ => error!(thread, line, "counted"),
                    });
                });
            });
        }
        let reading = scope.spawn(|| {
            let mut text = Vec::new();
            let mut chunk = [0; 1024];
            loop {
                match reader.read(&mut chunk).unwrap() {
                    0 => return String::from_utf8(text).unwrap(),
                    read => text.extend_from_slice(&chunk[..read]),
                }
                thread::yield_now();
            }
        });
        scope.spawn(|| {
            while queue.totals().lines.total() < 80_000 {
                thread::yield_now();
            }
            assert!(guard.flush(LONG));
            drop(guard);
        });
        reading.join().unwrap()
    });
    let counted = text.lines().filter(|line| line.contains("\"counted\"")).count() as u64;
    for line in text.lines() {
        serde_json::from_str::<Value>(line).unwrap();
    }
    assert_eq!(counted + queue.totals().dropped.total(), 80_000);
}

/// An output that does what the test tells it, one write each.
struct Told {
    answers: Receiver<io::Result<usize>>,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Write for Told {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.answers.recv().unwrap_or(Ok(usize::MAX))?.min(bytes.len());
        self.written.lock().unwrap().extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn told(answers: Vec<io::Result<usize>>) -> (LogTarget, Arc<Mutex<Vec<u8>>>) {
    let (sender, receiver): (SyncSender<_>, _) = sync_channel(answers.len());
    answers.into_iter().for_each(|answer| sender.send(answer).unwrap());
    let written = Arc::default();
    (
        LogTarget::Writer(Box::new(Told { answers: receiver, written: Arc::clone(&written) })),
        written,
    )
}

#[test]
fn a_write_that_fails_within_a_line_costs_that_line_only() {
    let broken = || Err(io::Error::from(io::ErrorKind::BrokenPipe));
    let (target, written) = told(vec![
        Ok(7),
        broken(),
        // The line that says so, and the next one.
        broken(),
        broken(),
    ]);
    let (subscriber, guard) = subscriber(&LogSettings::default(), "store", target).unwrap();
    tracing::subscriber::with_default(subscriber, || {
        info!("torn");
        assert!(guard.flush(LONG));
        info!("lost");
        assert!(guard.flush(LONG));
        warn!("whole");
        assert!(guard.flush(LONG));
    });
    let queue = guard.queue.clone();
    drop(guard);
    let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
    let (torn, rest) = text.split_once('\n').unwrap();
    assert_eq!(torn, "{\"level");
    let said: Vec<Value> = rest
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let count = |msg: &str| said.iter().filter(|line| line["msg"] == msg).count() as u64;
    let lost: u64 = said.iter().filter_map(|line| line["info"].as_u64()).sum();
    assert_eq!((count("torn"), count("lost"), count("whole")), (0, 0, 1));
    assert_eq!(lost, 2);
    assert_eq!(queue.totals().dropped.total(), 2);
    assert!(queue.write_errors() >= 2);
}

#[test]
fn a_closed_pipe_is_counted_and_survived() {
    let (reader, pipe) = io::pipe().unwrap();
    drop(reader);
    let target = LogTarget::Writer(Box::new(pipe));
    let (subscriber, guard) = subscriber(&LogSettings::default(), "store", target).unwrap();
    tracing::subscriber::with_default(subscriber, || {
        (0..10).for_each(|_| error!("nobody hears"));
        assert!(guard.flush(LONG));
    });
    assert_eq!(guard.queue.totals().dropped.of(Level::Error), 10);
    assert!(guard.queue.write_errors() >= 1);
}

#[test]
fn interruptions_and_a_full_non_blocking_pipe_cost_nothing() {
    let kind = |kind: io::ErrorKind| Err(io::Error::from(kind));
    let (target, written) =
        told(vec![kind(io::ErrorKind::Interrupted), Ok(3), kind(io::ErrorKind::WouldBlock)]);
    let (subscriber, guard) = subscriber(&LogSettings::default(), "store", target).unwrap();
    tracing::subscriber::with_default(subscriber, || info!("patient"));
    assert!(guard.flush(LONG));
    assert_eq!(guard.queue.totals(), {
        let mut lines = Counts::default();
        lines.count(Level::Info);
        Totals { lines, dropped: Counts::default() }
    });
    serde_json::from_slice::<Value>(&written.lock().unwrap()).unwrap();
}

#[test]
fn the_guard_does_not_wait_for_ever() {
    let (_reader, pipe) = io::pipe().unwrap();
    let (subscriber, guard) =
        subscriber(&LogSettings::default(), "store", LogTarget::Writer(Box::new(pipe))).unwrap();
    tracing::subscriber::with_default(subscriber, || {
        (0..200).for_each(|_| info!(padding = "x".repeat(8000), "fills the pipe"));
    });
    // Comes back although nobody reads; a hang ends the whole test run.
    drop(guard);
}

#[test]
fn what_comes_after_the_end_is_counted_as_lost() {
    let captured = CapturedLog::new();
    let (subscriber, guard) =
        subscriber(&LogSettings::default(), "store", captured.target()).unwrap();
    let queue = guard.queue.clone();
    tracing::subscriber::with_default(subscriber, || {
        info!("before");
        drop(guard);
        info!("after");
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        let late = move || tracing::dispatcher::with_default(&dispatch, || info!("after"));
        thread::spawn(late).join().unwrap();
    });
    assert!(captured.text().contains("before") && !captured.text().contains("after"));
    assert_eq!((queue.totals().lines.total(), queue.totals().dropped.total()), (3, 2));
    assert!(!queue.flush(LONG), "there is nobody to flush");
}

#[test]
fn threads_that_end_leave_their_lines_and_counts_but_no_buffer() {
    let captured = CapturedLog::new();
    let (subscriber, guard) =
        subscriber(&LogSettings::default(), "store", captured.target()).unwrap();
    let dispatch = tracing::Dispatch::new(subscriber);
    for _ in 0..50 {
        let dispatch = dispatch.clone();
        let log = move || tracing::dispatcher::with_default(&dispatch, || info!("short life"));
        thread::spawn(log).join().unwrap();
    }
    assert!(guard.flush(LONG));
    assert!(guard.flush(LONG));
    assert_eq!(captured.text().lines().count(), 50);
    assert_eq!(guard.queue.totals().lines.total(), 50);
    assert_eq!(guard.queue.buffer_count(), 1, "the shared one");
}

#[test]
fn a_file_is_appended_to_and_a_bad_path_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("service.log");
    for _ in 0..2 {
        let target = LogTarget::File(path.clone());
        let (subscriber, guard) = subscriber(&LogSettings::default(), "store", target).unwrap();
        tracing::subscriber::with_default(subscriber, || info!("started"));
        drop(guard);
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);

    let bad = LogTarget::File(path.join("below a file"));
    let error = subscriber(&LogSettings::default(), "store", bad).err().unwrap().to_string();
    assert!(error.contains("below a file: Not a directory"), "{error}");
}
