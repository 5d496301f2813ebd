//! Zones and instants as people write them: checked here, resolved by whoever reads the log.

use crate::nearest::nearest;

/// What to say to somebody who wrote something else than a time.
pub(crate) const TIME_HINT: &str = "a time is RFC 3339, such as 2026-11-23T07:31:00Z, or a distance before now: 30m";

/// Whether `text` is an instant in RFC 3339, or a date or a time without a zone, which the reader's zone completes.
pub(crate) fn is_time(text: &str) -> bool {
    text.parse::<jiff::Timestamp>().is_ok() || text.parse::<jiff::civil::DateTime>().is_ok()
}

/// Checks that `name` is a zone: an IANA name, or an offset such as `+08:00`. The error is a message and a hint.
pub(crate) fn check_zone(name: &str) -> Result<(), (String, String)> {
    if is_offset(name) || jiff::tz::db().get(name).is_ok() {
        return Ok(());
    }
    let names: Vec<String> = jiff::tz::db().available().map(|known| known.to_string()).collect();
    let hint = match nearest(name, names.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "write an IANA name such as Asia/Shanghai, or an offset such as +08:00".to_owned(),
    };
    Err((format!("unknown time zone `{name}`"), hint))
}

/// `Z`, `+08:00`, `-0330`, `+08`.
fn is_offset(text: &str) -> bool {
    let Some(digits) = text.strip_prefix(['+', '-']) else {
        return text == "Z";
    };
    let digits = match digits.split_once(':') {
        Some((hours, minutes)) if hours.len() == 2 && minutes.len() == 2 => format!("{hours}{minutes}"),
        Some(_) => return false,
        None => digits.to_owned(),
    };
    let (hours, minutes) = match (digits.len(), digits.parse::<u32>()) {
        (2, Ok(hours)) => (hours, 0),
        (4, Ok(both)) => (both / 100, both % 100),
        _ => return false,
    };
    hours <= 14 && minutes < 60
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, hint: Option<&str>) {
        assert_eq!(check_zone(name).err().map(|(_, hint)| hint).as_deref(), hint, "{name}");
    }

    #[test]
    fn zones() {
        for name in ["Asia/Shanghai", "UTC", "Z", "+08:00", "-0330", "+08"] {
            check(name, None);
        }
        check("Asia/Shangai", Some("did you mean `Asia/Shanghai`?"));
        let general = Some("write an IANA name such as Asia/Shanghai, or an offset such as +08:00");
        for name in ["+8", "+25:00", "+08:0", "nowhere at all", "", "+08:60"] {
            check(name, general);
        }
    }

    #[test]
    fn times() {
        assert!(is_time("2026-11-23T07:31:00Z") && is_time("2026-11-23T07:31:00.5+08:00"));
        assert!(is_time("2026-11-23") && is_time("2026-11-23T07:31"));
        assert!(!is_time("2026-13-23") && !is_time("2026-11-23T25:00:00Z") && !is_time("30m"));
    }
}
