//! What reading totals costs.

use rusqlite::StatementStatus;

use super::*;

/// Three months of 200,000 calls by twelve series, as their rows would be.
const GENERATED: &str = "
    INSERT INTO series SELECT value, 'team', 'tenant' || value % 4, 'meta', 'model' || value, 'chat' FROM generate(12);
    INSERT INTO lane SELECT id, id, '{}' FROM series;
    INSERT INTO call SELECT value, value * 38880, value % 12 + 1, NULL, 'ok', 200, 1, 0, 1000, 'reported', 100, 20, 0, 0, 0, 5,
        100, 100, 200, 9, 1, 0, 100, 0, 20, 0, 0, 120, 5 FROM generate(200000);
    INSERT INTO quarter SELECT at / 900000, lane, count(*), 0, 0, 0, count(*), sum(input), sum(output), 0, 0, 0, sum(cost), 0,
        count(*), 0, sum(input), 0, sum(output), 0, 0, sum(charged_tokens), sum(cost) FROM call GROUP BY 1, 2;
    INSERT INTO day SELECT at / 96, lane, sum(calls), 0, 0, 0, sum(attempts), sum(input), sum(output), 0, 0, 0, sum(cost), 0
        FROM quarter GROUP BY 1, 2;";

/// A journal in memory.
fn generated() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    connection
        .execute_batch(include_str!("../schema/1.sql"))
        .unwrap();
    let numbers = |count: u32| {
        format!(
            "(WITH RECURSIVE n (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < {count}) SELECT value FROM n)"
        )
    };
    let rows = GENERATED
        .replace("generate(12)", &numbers(12))
        .replace("generate(200000)", &numbers(200_000));
    connection.execute_batch(&rows).unwrap();
    connection
}

fn plan(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection
        .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
        .unwrap();
    let plan = statement.query_map([0, 0], |row| row.get(3)).unwrap();
    plan.collect::<Result<_, _>>().unwrap()
}

#[test]
fn months_are_summed_from_the_roll_ups_in_as_many_steps_as_they_have_days() {
    let connection = generated();
    for (table, of) in [("day", "series"), ("quarter", "lane")] {
        assert_eq!(
            plan(&connection, &rows_of(table, of)),
            [format!("SEARCH {table} USING PRIMARY KEY (at>? AND at<?)")]
        );
    }
    // 200,000 calls in 90 days are 1,092 rows of 12 series.
    let mut adder = Adder::new(&connection).unwrap();
    let sums = adder.add_up(0, 1_000 * QUARTERS).unwrap();
    let calls: u64 = sums.values().map(|numbers| numbers[0]).sum();
    assert_eq!((sums.len(), calls), (12, 200_000));
    let steps = |statement: &Statement<'_>| statement.get_status(StatementStatus::VmStep);
    let taken = (steps(&adder.days), steps(&adder.quarters));
    assert!(
        taken.0 < 1_092 * 20 && taken.1 == 0,
        "{taken:?} steps of SQLite's machine"
    );
}
