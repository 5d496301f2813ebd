//! Names of months and weekdays in other languages than English, as the C libraries and runtimes of the world's
//! servers write them into logs: `août 19 11:08:37`, `nov. 29 20:23:37`, `1/Ene/2014:12:00:00`.
//!
//! Source of the names: Unicode CLDR's Gregorian calendar (abbreviated, wide, and their genitives), and glibc's
//! locales where these differ. A name is a whole word with its accents, in UTF-8 or Latin-1, in lower case, with a
//! capital or in capitals, perhaps with an abbreviation's dot. A word that is two different months in two of the
//! languages is left out (`lip`, `srp`, `lis` of Croatian): a wrong month is worse than none.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Longest name with its dot, in bytes: no other word is compared.
const NAME_BYTES_MAX: usize = 24;

/// Months: number and names, separated by spaces.
const MONTHS: [(u8, &str); 12] = [
    (
        1,
        "jan janv janvier jänner jän januar jaen enero ene genn gen gennaio gener janeiro januari styczeń stycznia sty \
         leden ledna led janúar janvāris jaanuar sausis tammikuu tammikuuta tammi ocak oca ian ianuarie január \
         янв января январь січ січня ιαν ιανουαρίου",
    ),
    (
        2,
        "feb févr février fév feber februar febrero febbraio febbr febr febrer fev fevereiro februari luty lutego lut \
         únor února úno febrúar helmikuu helmikuuta helmi şubat şub februarie február фев февр февраля февраль лют \
         лютого φεβ φεβρουαρίου",
    ),
    (
        3,
        "mar mars märz mär mrz marzo març março maart mrt marzec marca březen března bře maaliskuu maaliskuuta maalis \
         mart martie március márc мар марта март бер березня μαρ μαρτίου",
    ),
    (
        4,
        "apr avr avril abr abril aprile kwi kwiecień kwietnia dub duben dubna huhtikuu huhtikuuta huhti nis nisan \
         aprilie \
         április ápr апр апреля апрель квіт квітня απρ απριλίου apríl",
    ),
    (
        5,
        "may mai maj mayo maggio mag maig maio mei květen května kvě toukokuu toukokuuta touko mayıs máj május мая май \
         трав травня μαΐ μαΐου maí",
    ),
    (
        6,
        "jun juin juni junio giugno giu juny junho czerwiec czerwca cze červen června čvn kesäkuu kesäkuuta kesä \
         haziran haz \
         iun iunie június jún июн июня июнь черв червня ιουν ιουνίου júní",
    ),
    (
        7,
        "jul juil juillet juli julio luglio lug juliol julho lipiec lipca červenec července čvc heinäkuu heinäkuuta \
         heinä \
         temmuz tem iul iulie július júl июл июля июль липня ιουλ ιουλίου júlí",
    ),
    (
        8,
        "aug août aout agosto ago ag agost sierpień sierpnia sie srpen srpna elokuu elokuuta elo ağustos ağu augustus \
         augusti augusztus авг августа август серп серпня αυγ αυγούστου ágúst agu",
    ),
    (
        9,
        "sep sept septembre septiembre settembre sett set setembre setembro september wrzesień września wrz září \
         zář syyskuu \
         syyskuuta syys eylül eyl septembrie szeptember szept сен сент сентября сентябрь вер вересня σεπ σεπτ \
         σεπτεμβρίου",
    ),
    (
        10,
        "oct octobre oktober okt octubre ottobre ott octubre outubro out październik października paź říjen října říj \
         lokakuu lokakuuta loka ekim eki octombrie október окт октября октябрь жовт жовтня οκτ οκτωβρίου",
    ),
    (
        11,
        "nov novembre noviembre novembro listopad listopada marraskuu marraskuuta marras kasım kas noiembrie noi \
         nóvember \
         ноя нояб ноября ноябрь лист листопада νοε νοεμβρίου",
    ),
    (
        12,
        "dec décembre déc dezember dez diciembre dic dicembre desembre des dezembro grudzień grudnia gru prosinec \
         prosince \
         pro joulukuu joulukuuta joulu aralık ara decembrie desember дек декабря декабрь груд грудня δεκ δεκεμβρίου \
         desembro",
    ),
];

/// Weekdays.
const WEEKDAYS: &str = "mon tue wed thu fri sat sun lun lundi mar mardi mer mercredi jeu jeudi ven vendredi sam \
         samedi dim dimanche \
     mo montag di dienstag mi mittwoch do donnerstag fr freitag sa samstag so sonntag die mit don fre son mon sam \
     lunes martes mié mie miércoles jue jueves vie viernes sáb sab sábado domingo dom \
     lunedì mart martedì mercoledì gio giovedì venerdì sabato domenica \
     seg segunda ter terça qua quarta qui quinta sex sexta ma woe wo vr za zo maandag dinsdag woensdag donderdag \
     vrijdag zaterdag zondag pon wto śro śr czw pią pt sob nie niedz \
     пн вт ср чт пт сб вс пнд втр срд чтв птн сбт вск пон вто сре чет пят суб вос \
     po út st čt pá so ne mån tis ons tors fre lör sön man tir tor lør søn ti ke to pe la su \
     pzt sal çar per cum cmt paz";

/// What a name means: 1 to 12 for months, none for weekdays, which say nothing that a date does not.
struct Names {
    months: HashMap<&'static str, u8>,
    weekdays: Vec<&'static str>,
}

static NAMES: LazyLock<Names> = LazyLock::new(|| {
    let mut months = HashMap::new();
    for (number, names) in MONTHS {
        months.extend(names.split_ascii_whitespace().map(|name| (name, number)));
    }
    let mut weekdays: Vec<&str> = WEEKDAYS.split_ascii_whitespace().collect();
    weekdays.sort_unstable();
    Names { months, weekdays }
});

/// A month of another language, or an abbreviated English one with a dot: 1 to 12, and where its name ends, the dot
/// included.
pub fn month(line: &[u8], at: usize) -> Option<(u8, usize)> {
    let (end, after) = word(line, at)?;
    // Whatever format it stands in, a digit follows closely: most words of a log's text end here.
    let follows = line.get(after..)?.iter().take(3);
    if !follows.clone().any(u8::is_ascii_digit) {
        return None;
    }
    let text = lower(&line[at..end])?;
    Some((*NAMES.months.get(text.as_str())?, after))
}

/// A weekday of another language, or an English one with a dot: where its name ends, the dot included.
pub fn weekday(line: &[u8], at: usize) -> Option<usize> {
    let (end, after) = word(line, at)?;
    let text = lower(&line[at..end])?;
    NAMES.weekdays.binary_search(&text.as_str()).is_ok().then_some(after)
}

/// Where the word ends that begins at `at`, and where what belongs to it ends. A dot belongs to it before a space or a
/// comma, as `nov. 29` has it.
fn word(line: &[u8], at: usize) -> Option<(usize, usize)> {
    let letters = |byte: &u8| byte.is_ascii_alphabetic() || *byte >= 0x80;
    let length = line
        .get(at..)?
        .iter()
        .take(NAME_BYTES_MAX + 1)
        .take_while(|byte| letters(byte))
        .count();
    if !(2..=NAME_BYTES_MAX).contains(&length) {
        return None;
    }
    let end = at + length;
    let dotted = line.get(end) == Some(&b'.') && matches!(line.get(end + 1), Some(b' ' | b','));
    let after = end + usize::from(dotted);
    let goes_on = line.get(end).is_some_and(u8::is_ascii_digit);
    (!goes_on).then_some((end, after))
}

/// A word in lower case; of Latin-1 if it is no UTF-8.
fn lower(word: &[u8]) -> Option<String> {
    let text = match std::str::from_utf8(word) {
        Ok(text) => text.to_lowercase(),
        Err(_) => word
            .iter()
            .map(|byte| char::from(*byte))
            .collect::<String>()
            .to_lowercase(),
    };
    (text.chars().count() >= 2).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn no_name_is_two_months() {
        let mut months = BTreeMap::new();
        for (number, names) in MONTHS {
            for name in names.split_ascii_whitespace() {
                let other = months.insert(name, number);
                assert!(
                    other.is_none_or(|other| other == number),
                    "{name}: {other:?} and {number}"
                );
                assert!(name.len() <= NAME_BYTES_MAX, "{name}");
            }
        }
    }

    #[track_caller]
    fn check(text: &[u8], expected: Option<(u8, usize)>) {
        assert_eq!(month(text, 0), expected, "{}", text.escape_ascii());
    }

    #[test]
    fn months() {
        check("août 19".as_bytes(), Some((8, 5)));
        check("AOÛT 19".as_bytes(), Some((8, 5)));
        check(b"ao\xfbt 19", Some((8, 4)));
        check(b"nov. 29", Some((11, 4)));
        check(b"nov.29", Some((11, 3)));
        check(b"Ene/2014", Some((1, 3)));
        check("мая 5".as_bytes(), Some((5, 6)));
        check("Mär 5".as_bytes(), Some((3, 4)));
        check(b"sept. 3", Some((9, 5)));
        check(b"foo 3", None);
        check("aoûte 3".as_bytes(), None);
        check(b"set3", None);
        check(b"a", None);
    }
}
