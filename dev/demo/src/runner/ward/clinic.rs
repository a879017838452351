//! Who works at the clinic that does not exist: its teams, its templates, and the handover that was written in one of them.

use super::script::{DAY, HOUR, Handover, Stay, Team, Template};

pub(super) const A: &str = "amina";
pub(super) const T: &str = "tomas";
pub(super) const N: &str = "noor";
pub(super) const H: &str = "huong";

pub(super) const WARD_3: &str = "Ward 3";
pub(super) const PHARMACY: &str = "Pharmacy";
pub(super) const ON_CALL: &str = "On call";
const FRONT_DESK: &str = "Front desk";

/// Who is first in a team has made it.
pub(super) const TEAMS: &[Team] = &[
    Team(
        WARD_3,
        &[
            Stay(A, 4 * DAY + 8 * HOUR, None),
            Stay(T, 4 * DAY + 6 * HOUR + 50, None),
            Stay(H, 4 * DAY + 4 * HOUR + 55, None),
        ],
    ),
    Team(PHARMACY, &[Stay(N, 4 * DAY + 4 * HOUR + 5, None), Stay(A, 3 * DAY + 22 * HOUR, None)]),
    Team(FRONT_DESK, &[Stay(H, 3 * DAY + 16 * HOUR, None), Stay(A, 3 * DAY + 15 * HOUR + 45, None)]),
    Team(
        ON_CALL,
        &[
            Stay(T, 3 * DAY + 2 * HOUR, None),
            Stay(A, 2 * DAY + 23 * HOUR, Some(DAY + 9 * HOUR)),
            Stay(N, 2 * DAY + 10 * HOUR, None),
        ],
    ),
];

const HANDOVER_WARD_3: &str = "Handover Ward 3";

pub(super) const TEMPLATES: &[Template] = &[
    Template {
        minutes_ago: 3 * DAY + 22 * HOUR,
        by: A,
        name: HANDOVER_WARD_3,
        rows: "Bed 1 | pain, drains, what the family knows\nBed 2\nBed 3\nBed 4\nBed 5 | isolation: gown and gloves\nBed 6",
    },
    Template {
        minutes_ago: 3 * DAY + 2 * HOUR,
        by: T,
        name: "Ward round",
        rows: "Room 1 | plan, medication, going home when\nRoom 2\nRoom 3\nRoom 4\nRoom 5\nRoom 6",
    },
];

pub(super) const HANDOVER: Handover = Handover {
    minutes_ago: 8 * HOUR,
    by: A,
    template: HANDOVER_WARD_3,
    subject: "Handover Ward 3, night to early",
    rows: &[
        ("Bed 1", "Slept well. The drain is out, dressing dry at 05:30."),
        ("Bed 2", "Awake from three to four, paracetamol 1 g at 03:10. Asks for the physician."),
        ("Bed 4", "Nil by mouth since midnight for the scan at nine."),
        ("Bed 5", "Goes home today. The letter still needs a signature."),
    ],
    opened: (35, &[T, H]),
};
