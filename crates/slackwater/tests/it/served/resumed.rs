//! A source that is halted, seen and taken up again from the command line.

use super::{free_port, poster, ready, start};
use crate::durable::CONFIG;
use crate::program::Place;

#[test]
fn a_halted_source_is_listed_and_resumed_by_command() {
    let port = free_port();
    let config = CONFIG.replace("kind = \"files\"", "kind = \"http\"\npoison = \"halt\"");
    let place = Place::with(&format!("{config}\n[server]\nlisten = \"127.0.0.1:{port}\"\n"));
    let mut child = start(&place);
    assert!(ready(&mut child, port));
    let url = format!("http://127.0.0.1:{port}");
    let listed = || place.run(&["source", "list", "--url", &url]).out;
    let post = |key: &str| poster::post((port, port), key, "nonsense\n").expect("an answer").0;
    assert_eq!(listed(), "trades: http, received 0\n");
    assert_eq!((post("one"), post("two")), (200, 423));
    // What it shows is as fresh as what it last published.
    while !listed().contains("received 1, halted") {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let resumed = place.run(&["source", "resume", "trades", "--url", &url]);
    assert_eq!((resumed.code, resumed.out.as_str()), (0, "trades takes events in\n"), "{}", resumed.err);
    assert_eq!((post("three"), post("four")), (200, 423));
    let unknown = place.run(&["source", "resume", "quotes", "--url", &url]);
    assert!(unknown.code != 0 && unknown.err.contains("quotes"), "{}", unknown.err);
}
