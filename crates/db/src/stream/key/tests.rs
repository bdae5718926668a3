//! Tables and their indexes in, what becomes of a key out.

use super::*;

const PIECES: u32 = 7;

const SALES: u32 = 8;

fn table(oid: u32, name: &str) -> Table {
    Table { oid, name: name.to_owned(), has_rows: true, is_inherited: false }
}

fn order(columns: &[&str]) -> Vec<OrderColumn> {
    let column = |column: &&str| {
        let (table, column) = column
            .split_once('.')
            .map_or((None, *column), |(table, column)| (Some(table.to_owned()), column));
        let (column, descending) =
            column.strip_suffix('↓').map_or((column, false), |it| (it, true));
        OrderColumn { table, column: column.to_owned(), descending }
    };
    columns.iter().map(column).collect()
}

/// What is selected: of the pieces `id`, `name`, `note`, and the `id` of sales.
fn selected() -> Vec<Origin> {
    let origin =
        |column: &str, table_oid, place| Origin { column: column.into(), table_oid, place };
    vec![
        origin("id", PIECES, 1),
        origin("name", PIECES, 2),
        origin("note", PIECES, 3),
        origin("id", SALES, 1),
        origin("quantity", SALES, 2),
    ]
}

/// One index of `pieces` from its columns: `a↓` is downwards, `a~` has another collation.
fn index(name: &str, is_unique: bool, columns: &[&str]) -> Index {
    let part = |column: &&str| IndexPart {
        name: name.to_owned(),
        is_unique,
        place: match column.trim_end_matches(['↓', '~']) {
            "id" => 1,
            "name" => 2,
            "note" => 3,
            _ => 0,
        },
        is_descending: column.ends_with('↓'),
        has_usual_order: !column.ends_with('~'),
    };
    Index { name: name.to_owned(), is_unique, parts: columns.iter().map(part).collect() }
}

fn judged(key: &[&str], indexes: &[Index]) -> String {
    let tables = [table(PIECES, "pieces")];
    let pieces: Vec<Origin> =
        selected().into_iter().filter(|origin| origin.table_oid == PIECES).collect();
    let (table, key) = resolve(&order(key), &pieces, &tables).unwrap();
    let column = |(place, name): (i16, &str)| Column {
        place,
        name: name.to_owned(),
        is_never_null: name != "note",
    };
    let columns: Vec<Column> = [(1, "id"), (2, "name"), (3, "note")].map(column).into();
    match judge(table, &key, &columns, indexes) {
        Ok(()) => "good".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_unique_index_in_this_order_makes_a_key() {
    let primary = index("pkey", true, &["id"]);
    let both = index("both", false, &["name", "id"]);
    for (key, indexes) in [
        (&["id"][..], vec![primary.clone()]),
        (&["id↓"], vec![primary.clone()]),
        // What is unique already needs no order among its equals.
        (&["id", "name"], vec![primary.clone()]),
        // One says that it is unique, the other has the order.
        (&["name", "id"], vec![primary.clone(), both.clone()]),
        (&["name↓", "id↓"], vec![primary.clone(), both]),
        (&["name", "id↓"], vec![primary, index("mixed", false, &["name↓", "id"])]),
        (&["name", "id"], vec![index("whole", true, &["name", "id"])]),
    ] {
        assert_eq!(judged(key, &indexes), "good", "{key:?}, {indexes:?}");
    }
}

#[test]
fn what_is_not_unique_names_the_indexes_that_are() {
    let primary = index("pieces_pkey", true, &["id"]);
    let by_name = index("by_name", false, &["name"]);
    assert_eq!(
        judged(&["name"], &[primary.clone(), by_name.clone()]),
        "its query orders by (name) of \"pieces\", and no unique index has only columns of these; \
         it has pieces_pkey (id)"
    );
    assert!(judged(&["name"], &[by_name]).ends_with("; it has no unique index"));
    let wider = index("wider", true, &["id", "name"]);
    assert!(judged(&["name"], &[wider]).ends_with("; it has wider (id, name)"));
    let expression = index("lower", true, &["lower(name)"]);
    assert!(judged(&["name"], &[expression]).ends_with("; it has lower (an expression)"));
}

#[test]
fn what_no_index_has_in_this_order_names_all_indexes() {
    let primary = index("pieces_pkey", true, &["id"]);
    for other in [
        index("by_name", false, &["name"]),
        index("mixed", false, &["name", "id↓"]),
        index("collated", false, &["name~", "id"]),
    ] {
        let shown = judged(&["name", "id"], &[primary.clone(), other.clone()]);
        assert!(
            shown.contains("no index has them in this order; it has pieces_pkey (id), "),
            "{shown}"
        );
        assert!(shown.contains(&other.name), "{shown}");
    }
}

#[test]
fn no_key_has_a_null_or_lies_in_what_is_no_table() {
    let note = index("note", true, &["note"]);
    assert!(judged(&["note"], &[note]).starts_with("\"note\" of \"pieces\" may be NULL"));
    let view = Table { has_rows: false, ..table(PIECES, "all_pieces") };
    let error = judge(&view, &[(1, false)], &[], &[]).unwrap_err();
    assert_eq!(error, UnusableKey::NoTable { table: "all_pieces".to_owned() });
    let parent = Table { is_inherited: true, ..table(PIECES, "pieces") };
    let error = judge(&parent, &[(1, false)], &[], &[]).unwrap_err();
    assert_eq!(error, UnusableKey::Inherited { table: "pieces".to_owned() });
}

#[test]
fn columns_are_found_by_where_they_come_from() {
    let tables = [table(PIECES, "pieces"), table(SALES, "sales")];
    let found = |names: &[&str]| {
        resolve(&order(names), &selected(), &tables).map(|(table, key)| (table.oid, key))
    };
    assert_eq!(found(&["sales.id"]), Ok((SALES, vec![(1, false)])));
    assert_eq!(found(&["pieces.id↓", "pieces.name"]), Ok((PIECES, vec![(1, true), (2, false)])));
    // An alias, where there is only one column of the name.
    assert_eq!(found(&["s.quantity"]), Ok((SALES, vec![(2, false)])));
    let not_selected = |column: &str| Err(UnusableKey::NotSelected { column: column.to_owned() });
    assert_eq!(found(&["s.id"]), not_selected("id"));
    assert_eq!(found(&["id"]), not_selected("id"));
    assert_eq!(found(&["pieces.stock"]), not_selected("stock"));
    let several = UnusableKey::SeveralTables { tables: "pieces, sales".to_owned() };
    assert_eq!(found(&["pieces.id", "sales.id"]), Err(several));
}

#[test]
fn parts_are_gathered_into_their_indexes() {
    let (one, two) = (index("one", true, &["id"]), index("two", false, &["name", "id"]));
    let parts = one.parts.iter().chain(&two.parts).cloned().collect();
    let gathered = indexes(parts);
    let lengths: Vec<_> = gathered.iter().map(|it| (it.name.as_str(), it.parts.len())).collect();
    assert_eq!(lengths, [("one", 1), ("two", 2)]);
}
