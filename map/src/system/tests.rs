//! The table's monitor: what Reduces and consoles make of it.

use super::*;
use crate::plan::Plan;

#[test]
fn the_monitor_has_a_column_for_each_figure() {
    let shape = Plan::new(&monitor()).expect("it can be counted").shape();
    assert_eq!((shape.monitor.as_str(), shape.window_ns), (NAME, WINDOW_NS));
    assert_eq!(shape.group_names, ["host", "app", "zone", "mount"]);
    let names: Vec<&str> = shape.outputs.iter().map(|output| output.name.as_str()).collect();
    let expected: Vec<&str> = HOST_COLUMNS.into_iter().chain([MOUNT_COLUMN]).collect();
    assert_eq!(names, expected);
}
