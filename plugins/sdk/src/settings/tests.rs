use std::time::Duration;

use serde_json::json;

use super::*;

crate::settings! {
    /// Inner.
    struct Levels {
        /// Warn here.
        warning: Option<f64> = Some(80.0), in 0.0..=1000.0;
        /// Panic here.
        critical: Option<f64> = None;
    }
}

crate::choice! {
    /// Words.
    enum Mood {
        /// Good.
        Good = "good",
        /// Bad.
        Bad = "bad",
    }
}

crate::settings! {
    /// Everything at once.
    struct Whole {
        /// How long,
        /// over two lines.
        delay: Duration = Duration::from_secs(5), in 1.0..=60.0;
        /// How often.
        times: u32 = 3, in 0.0..=10.0;
        /// Names.
        names: Vec<String> = vec!["a".into()];
        /// Which.
        mood: Mood = Mood::Good;
        /// Nested.
        levels: Levels = Levels { warning: Some(70.0), critical: Some(90.0) };
    }
}

fn problems(value: serde_json::Value) -> Vec<(String, String)> {
    let problems = Whole::default().read(&value).expect_err("settings with a mistake");
    problems.into_iter().map(|p| (p.field, p.message)).collect()
}

#[test]
fn nothing_set_gives_the_defaults() {
    assert_eq!(Whole::default().read(&json!({})), Ok(Whole::default()));
}

#[test]
fn a_nested_table_keeps_the_defaults_of_what_it_does_not_set() {
    let read = Whole::default().read(&json!({ "levels": { "critical": "off" } })).expect("good settings");
    assert_eq!(read.levels, Levels { warning: Some(70.0), critical: None });
}

#[test]
fn every_mistake_is_reported_with_its_pointer() {
    let found = problems(json!({ "delay": "soon", "names": ["a", 1], "levels": { "warning": "no" }, "mod": 1 }));
    let pointers: Vec<&str> = found.iter().map(|(pointer, _)| pointer.as_str()).collect();
    assert_eq!(pointers, ["/delay", "/names/1", "/levels/warning", "/mod"]);
}

#[test]
fn a_value_out_of_range_names_the_range_in_its_own_unit() {
    let found = problems(json!({ "delay": "2h", "times": 11 }));
    assert_eq!(found[0], ("/delay".into(), "must be from 1s to 1m".into()));
    assert_eq!(found[1], ("/times".into(), "must be from 0 to 10".into()));
}

#[test]
fn a_wrong_word_names_the_right_ones() {
    assert_eq!(problems(json!({ "mood": "sad" }))[0].1, "must be one of `good` `bad`");
}

#[test]
fn the_schema_carries_description_default_and_range() {
    let schema = Whole::default().schema();
    assert_eq!(schema["additionalProperties"], json!(false));
    let properties = &schema["properties"];
    assert_eq!(properties["delay"]["description"], "How long, over two lines.");
    assert_eq!(properties["delay"]["default"], "5s");
    assert_eq!(properties["times"]["maximum"], 10);
    let warning = &properties["levels"]["properties"]["warning"];
    assert_eq!(warning["default"], json!(70.0));
    assert_eq!(warning["anyOf"][0]["maximum"], json!(1000.0));
}

#[test]
fn durations_read_back_as_they_are_written() {
    for text in ["0s", "5s", "1m30s", "250ms", "1d2h3m4s5ms"] {
        let read = Duration::ZERO.read(&json!(text)).expect("a duration");
        assert_eq!(show_duration(read), text);
    }
}

#[test]
fn units_can_be_written_out() {
    for (long, short) in [("5 min", "5m"), ("1 hour 30 seconds", "1h30s"), (" 2days ", "2d"), ("7msec", "7ms")] {
        assert_eq!(show_duration(Duration::ZERO.read(&json!(long)).expect("a duration")), short);
    }
}

#[test]
fn text_without_a_unit_is_no_duration() {
    for text in ["", "5", "s", "5 parsecs", "-5s", "99999999999999999999s"] {
        assert!(Duration::ZERO.read(&json!(text)).is_err(), "{text:?} was read as a duration");
    }
}
