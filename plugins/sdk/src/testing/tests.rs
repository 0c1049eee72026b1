use serde_json::json;

use super::agrees;

#[test]
fn what_is_not_expected_is_not_compared() {
    assert!(agrees(&json!({ "a": 1 }), &json!({ "a": 1, "b": 2 })));
    assert!(!agrees(&json!({ "a": 1 }), &json!({ "b": 2 })));
}

#[test]
fn lists_must_be_of_the_same_length() {
    assert!(agrees(&json!([1, 2]), &json!([1, 2])));
    assert!(!agrees(&json!([1]), &json!([1, 2])));
}

#[test]
fn a_tilde_asks_for_a_part_of_a_text() {
    assert!(agrees(&json!("~limit"), &json!("over its limit of 5")));
    assert!(!agrees(&json!("limit"), &json!("over its limit of 5")));
}

#[test]
fn numbers_may_differ_by_rounding_only() {
    assert!(agrees(&json!(0.1), &json!(0.1_f32)));
    assert!(!agrees(&json!(100), &json!(101)));
}
