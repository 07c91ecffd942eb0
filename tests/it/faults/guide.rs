//! docs/errors.md and docs/errors-admins.md: every kind, in order, and no message that the code does not make;
//! so with what docs/accounts.md quotes.

use fourstep::ErrorKind;

const GUIDE: &str = include_str!("../../../docs/errors.md");
const ADMINS: &str = include_str!("../../../docs/errors-admins.md");
const ACCOUNTS: &str = include_str!("../../../docs/accounts.md");
const OPERATE: &str = include_str!("../../../docs/operate.md");
const TABLES: [&str; 13] = [
    include_str!("table.txt"),
    include_str!("table-postgres18.txt"),
    include_str!("table-mysql.txt"),
    include_str!("table-mariadb.txt"),
    include_str!("../mongodb/table.txt"),
    include_str!("../sqlserver/table.txt"),
    include_str!("../redis/table.txt"),
    include_str!("../redis/managed/table.txt"),
    include_str!("../proxy/table.txt"),
    include_str!("../engine/replicas.txt"),
    include_str!("../accounts.txt"),
    include_str!("../redshift/serverless.txt"),
    include_str!("../redshift/table.txt"),
];

/// Kind and message of every row of these tables.
fn rows(tables: &[&'static str]) -> Vec<(&'static str, &'static str)> {
    let blocks = tables.iter().flat_map(|table| table.split("\n\n"));
    let blocks = blocks.filter(|block| !block.trim().is_empty());
    blocks
        .map(|block| {
            let mut lines = block.trim().lines().skip(1);
            let kind = lines.next().unwrap().split(", ").nth(1).unwrap();
            (kind, lines.next().unwrap().trim())
        })
        .collect()
}

/// The sections of a page that are named after kinds, with their text.
fn sections(page: &'static str) -> Vec<(&'static str, &'static str)> {
    let sections = page.split("\n## ").skip(1).filter_map(|section| section.split_once('\n'));
    sections.filter(|(title, _)| *title != "How to see it").collect()
}

/// Whether a quote, in which `...` stands for anything, is part of this message.
fn quotes(quote: &str, message: &str) -> bool {
    let mut rest = message;
    quote.split("...").all(|part| match rest.split_once(part.trim()) {
        Some((_, behind)) => {
            rest = behind;
            true
        }
        None => false,
    })
}

#[test]
fn the_guide_has_every_kind_in_order_and_says_what_to_do() {
    let titles: Vec<&str> = sections(GUIDE).iter().map(|(title, _)| *title).collect();
    assert_eq!(titles, ErrorKind::ALL.map(ErrorKind::name));
    // Where each error's message leads.
    let anchor = |title: &str| format!("docs/errors.md#{}", title.to_lowercase());
    assert_eq!(
        titles.into_iter().map(anchor).collect::<Vec<_>>(),
        ErrorKind::ALL.map(ErrorKind::page).to_vec()
    );
    let admins: Vec<&str> = sections(ADMINS).iter().map(|(title, _)| *title).collect();
    let known = ErrorKind::ALL.map(ErrorKind::name).into_iter();
    assert_eq!(admins, known.filter(|kind| admins.contains(kind)).collect::<Vec<_>>());
    for (title, text) in [sections(GUIDE), sections(ADMINS)].concat() {
        assert_eq!(text.matches("\n*Do:* ").count(), 1, "{title}");
    }
    // Whoever comes by a message's link is told where the rest of its kind is.
    for (title, text) in sections(GUIDE) {
        let link = format!("(errors-admins.md#{})", title.to_lowercase());
        assert_eq!(text.contains(&link), admins.contains(&title), "{title}");
    }
}

#[test]
fn every_message_in_the_guide_is_one_of_the_table_and_of_its_kind() {
    let rows = rows(&TABLES);
    assert!(rows.len() > 70, "the table was not read");
    for (title, text) in [sections(GUIDE), sections(ADMINS)].concat() {
        let blocks = text.split("```text\n").skip(1).map(|rest| rest.split("```").next().unwrap());
        let quoted: Vec<&str> = blocks.flat_map(str::lines).collect();
        assert_eq!(quoted.is_empty(), title == "Internal", "{title}");
        for quote in quoted {
            let found = rows.iter().any(|(kind, row)| *kind == title && quotes(quote, row));
            assert!(found, "{title}: nothing says: {quote}");
        }
    }
    // And a quote that nobody says is noticed.
    assert!(!rows.iter().any(|(_, row)| quotes("the server ... is on fire", row)));
}

/// The log of the function is empty in the first row; every other one quotes what a step says.
#[test]
fn what_the_page_on_accounts_quotes_is_what_the_code_says() {
    let (_, table) = ACCOUNTS.split_once("\n## Which policy is missing\n").unwrap();
    let lines = table.lines().filter(|line| line.starts_with('|')).skip(3);
    let cells = lines.map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    let quoted: Vec<_> = cells.filter(|cells| !cells[1].is_empty()).collect();
    assert_eq!(quoted.len(), 6, "{quoted:?}");
    for cells in quoted {
        let kind = cells[1].strip_prefix("a step, `").and_then(|kind| kind.strip_suffix('`'));
        let (kind, quote) = (kind.unwrap(), cells[2].trim_matches('`'));
        let found = rows(&TABLES).iter().any(|(of, row)| *of == kind && quotes(quote, row));
        assert!(found, "{kind}: nothing says: {quote}");
    }
}

/// The rows of a page's own table of failures: kind and quote.
fn own_rows(page: &'static str) -> Vec<(&'static str, &'static str)> {
    let (_, section) = page.split_once("\n## When a step fails\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(|row| {
        let mut cells = row.split('|').skip(1).map(str::trim);
        (cells.next().unwrap(), cells.next().unwrap().trim_matches('`'))
    })
    .collect()
}

#[test]
fn what_the_page_of_a_server_quotes_is_what_its_table_says_and_the_other_way_round() {
    let pages = [
        (include_str!("../../../docs/mongodb.md"), include_str!("../mongodb/table.txt")),
        (include_str!("../../../docs/sqlserver.md"), include_str!("../sqlserver/table.txt")),
        (include_str!("../../../docs/redshift.md"), include_str!("../redshift/table.txt")),
    ];
    for (page, table) in pages {
        let (own, rows) = (own_rows(page), rows(&[table]));
        assert!(own.len() > 5 && rows.len() > 5);
        let says = |(kind, quote): &(&str, &str), (of_row, message): &(&str, &str)| {
            kind == of_row && quotes(quote, message)
        };
        for one in &own {
            assert!(rows.iter().any(|row| says(one, row)), "nothing says: {one:?}");
        }
        for row in &rows {
            assert!(own.iter().any(|one| says(one, row)), "not explained: {row:?}");
        }
    }
}

#[test]
fn every_kind_of_the_table_s_rows_is_explained_and_the_operator_s_page_leads_there() {
    for kind in ErrorKind::ALL {
        let shown = rows(&TABLES).iter().any(|(of_row, _)| *of_row == kind.name());
        assert_eq!(shown, kind != ErrorKind::Internal, "{kind}");
        let link = format!("[`{kind}`](errors.md#{})", kind.name().to_lowercase());
        assert!(OPERATE.contains(&link), "{link}");
    }
}
