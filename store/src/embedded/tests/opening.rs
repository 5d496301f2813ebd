//! Files that are in use, of another format, of somebody else, or damaged: each is said by name, none is changed.

use redb::TableDefinition;

use super::{directory, window};
use crate::embedded::open::FORMAT;
use crate::embedded::tables::{FACT_FORMAT, FACTS, MonitorTables};
use crate::{EmbeddedStore, FILE_NAME, OpenError, Store, WriteOutcome};

/// Opens what is in a file with this content, which must fail and leave the file as it is.
#[track_caller]
fn check_refused(content: &[u8]) -> OpenError {
    let directory = directory();
    let file = directory.path().join(FILE_NAME);
    std::fs::write(&file, content).unwrap();
    let error = EmbeddedStore::open(directory.path()).unwrap_err();
    assert!(error.to_string().contains(FILE_NAME), "{error}");
    assert!(std::fs::read(&file).unwrap() == content, "the file was changed");
    error
}

/// The file of a store that holds some windows.
fn sound() -> Vec<u8> {
    let directory = directory();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    let windows: Vec<_> = (0..300).map(|second| window(second, 1, 1)).collect();
    store.write(&windows).unwrap();
    drop(store);
    std::fs::read(directory.path().join(FILE_NAME)).unwrap()
}

#[test]
fn what_is_no_store_is_said_and_left_alone() {
    let text = "these are notes of somebody\n".repeat(5000);
    let error = check_refused(text.as_bytes());
    assert!(matches!(error, OpenError::NotAStore { .. }), "{error:?}");
    let error = check_refused(b"short");
    assert!(matches!(error, OpenError::NotAStore { .. }), "{error:?}");
}

#[test]
fn a_database_of_another_program_is_said() {
    let directory = directory();
    let file = directory.path().join(FILE_NAME);
    let other = redb::Database::create(&file).unwrap();
    let transaction = other.begin_write().unwrap();
    let table: TableDefinition<'_, &str, u64> = TableDefinition::new("accounts");
    transaction.open_table(table).unwrap().insert("anna", 7).unwrap();
    transaction.commit().unwrap();
    drop(other);
    let error = EmbeddedStore::open(directory.path()).unwrap_err();
    assert!(
        matches!(&error, OpenError::NotAStore { why, .. } if why.contains("accounts")),
        "{error:?}"
    );
}

#[test]
fn a_newer_format_is_said() {
    let directory = directory();
    drop(EmbeddedStore::open(directory.path()).unwrap());
    let file = redb::Database::open(directory.path().join(FILE_NAME)).unwrap();
    let transaction = file.begin_write().unwrap();
    transaction
        .open_table(FACTS)
        .unwrap()
        .insert(FACT_FORMAT, FORMAT + 1)
        .unwrap();
    transaction.commit().unwrap();
    drop(file);
    let error = EmbeddedStore::open(directory.path()).unwrap_err();
    assert!(
        matches!(error, OpenError::NewerFormat { found, .. } if found == FORMAT + 1),
        "{error:?}"
    );
}

#[test]
fn a_file_in_use_is_said_and_goes_on_being_used() {
    let directory = directory();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    let error = EmbeddedStore::open(directory.path()).unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error:?}");
    assert!(error.to_string().starts_with("another sunfire uses "), "{error}");
    assert_eq!(store.write(&[window(0, 1, 1)]).unwrap(), [WriteOutcome::Written]);
    drop(store);
    EmbeddedStore::open(directory.path()).unwrap();
}

#[test]
fn a_cut_file_and_a_wrong_header_are_damage() {
    let sound = sound();
    for part in [100, 4096, sound.len() / 2] {
        let error = check_refused(&sound[..part]);
        assert!(!matches!(error, OpenError::InUse { .. }), "{error:?}");
    }
    let mut header = sound.clone();
    header[64..512].fill(0xa5);
    let error = check_refused(&header);
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
}

/// Wherever a byte of the file is changed, behind redb's back: an error, or all that was written (the byte was of no
/// page in use); never anything else, nor less.
#[test]
fn no_changed_byte_becomes_a_value() {
    let sound = sound();
    let expected: Vec<_> = (0..300).map(|second| window(second, 1, 1)).collect();
    let (mut errors, mut values) = (0, 0);
    for step in 0..100 {
        let mut changed = sound.clone();
        let at = step * (sound.len() / 100) + step % 7;
        changed[at] ^= 0x10;
        let directory = directory();
        std::fs::write(directory.path().join(FILE_NAME), &changed).unwrap();
        let read = EmbeddedStore::open(directory.path())
            .map_err(|error| error.to_string())
            .and_then(|store| {
                store
                    .windows("a", 0..300, 1000, true)
                    .map_err(|error| error.to_string())
            });
        match read {
            Err(_) => errors += 1,
            Ok(windows) => {
                values += 1;
                assert_eq!(windows.len(), expected.len(), "byte {at}");
                for (window, written) in windows.iter().zip(&expected) {
                    assert_eq!(window.window_ns, written.window_ns, "byte {at}");
                    assert_eq!(
                        (&window.header, &window.body),
                        (&written.header, &written.body),
                        "byte {at}"
                    );
                }
            }
        }
    }
    assert!(errors > 0 && values > 0, "{errors} errors, {values} read");
}

#[test]
fn a_damaged_row_is_an_error_and_is_not_written_over_but_goes_with_its_age() {
    let directory = directory();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    store.write(&[window(0, 1, 1), window(1, 1, 1)]).unwrap();
    drop(store);
    let file = redb::Database::open(directory.path().join(FILE_NAME)).unwrap();
    let transaction = file.begin_write().unwrap();
    {
        let names = MonitorTables::of(0);
        let mut table = transaction.open_table(names.windows()).unwrap();
        let mut row = redb::ReadableTable::get(&table, 0).unwrap().unwrap().value().to_vec();
        row[20] ^= 1;
        table.insert(0, row.as_slice()).unwrap();
    }
    transaction.commit().unwrap();
    drop(file);
    let store = EmbeddedStore::open(directory.path()).unwrap();
    let error = store.windows("a", 0..2, 9, true).unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
    assert_eq!(store.windows("a", 1..2, 9, true).unwrap().len(), 1);
    let outcomes = store.write(&[window(0, 9, 9), window(1, 9, 9)]).unwrap();
    assert!(matches!(outcomes[0], WriteOutcome::Refused { .. }), "{outcomes:?}");
    assert_eq!(outcomes[1], WriteOutcome::Written);
    assert_eq!(store.remove_before(1, 10).unwrap(), 1);
    assert_eq!(store.windows("a", 0..2, 9, true).unwrap().len(), 1);
    assert_eq!(store.undone("a", 0..2, 9).unwrap().len(), 1);
}
