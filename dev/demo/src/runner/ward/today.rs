//! What the staff of a clinic that does not exist wrote to each other today. Nobody in it is or was a patient.

use store::UrgentPolicy;

use super::clinic::{A, H, N, ON_CALL, PHARMACY, T, WARD_3};
use super::script::Then::{Done, DutyDone, OnMyWay, Opened, Reply, Taken};
use super::script::{HOUR, Talk, talk};

pub(super) const TALKS: &[Talk] = &[
    talk(
        16 * HOUR,
        A,
        "Übergabe, Nacht",
        "Ruhig. Zimmer 9 hat geschlafen. Zimmer 3: Infusion läuft bis 7 Uhr.",
        &[Opened(20, &[H]), Reply(12, T, "Danke, ich sehe sie zuerst.")],
    ),
    talk(
        9 * HOUR,
        H,
        "Phone line 2 crackles",
        "The technician comes before noon. Line 1 works.",
        &[Opened(10, &[A]), Reply(2 * HOUR, H, "Repaired."), Done(1, H)],
    ),
    talk(
        7 * HOUR,
        T,
        "Ward round starts in room 6 today",
        "Room 1 to 5 afterwards. The student joins us.",
        &[Opened(5, &[A, N])],
    ),
    talk(
        5 * HOUR,
        N,
        "Delivery from the pharmacy at 14:00",
        "Two boxes for ward 3, one of them cold. Somebody has to sign.",
        &[Opened(6, &[A]), Reply(8, A, "I sign. Please ring twice."), Opened(3, &[N])],
    )
    .to(&[WARD_3]),
    talk(
        4 * HOUR,
        T,
        "Room 3: the infusion pump beeps",
        "Battery low, it says, and it is plugged in. Somebody has to change it.",
        &[Opened(6, &[H]), Opened(5, &[A]), Taken(1, A)],
    )
    .to(&[WARD_3]),
    talk(
        3 * HOUR,
        A,
        "Handover, room 12",
        "Back from theatre at 11:20, stable. Pressure every 30 minutes until 16:00.\n\nThe family visits at four, and would like to talk.",
        &[
            Opened(7, &[T]),
            Reply(10, T, "I am there at four. Potassium comes with the next sample."),
            Opened(9, &[H, N]),
        ],
    ),
    talk(
        2 * HOUR,
        H,
        "Bệnh nhân phòng 7 cần người phiên dịch",
        "Cô ấy hiểu tiếng Anh ít. Tôi rảnh đến 17 giờ.",
        &[Opened(4, &[T]), Reply(6, T, "Could you come now? Five minutes."), Reply(2, H, "On my way.")],
    )
    .to(&[WARD_3]),
    talk(95, A, "Insulin glargine: two pens left", "Could six come up with the next delivery?", &[]).to(&[PHARMACY]),
    talk(
        80,
        T,
        "Frau Nowicka: bitte Donnerstag, 11 Uhr",
        "Das Gespräch mit der Familie von Zimmer 8. Sie wartet auf einen Anruf vom Empfang.",
        &[],
    )
    .to(&[H]),
    talk(
        70,
        N,
        "Can room 7 have something against her headache?",
        "She has enoxaparin 40 mg since Tuesday.",
        &[Opened(8, &[T]), Reply(3, T, "Paracetamol 1 g, no ibuprofen."), Reply(12, N, "Given. Thank you!")],
    )
    .to(&[ON_CALL]),
    talk(
        50,
        A,
        "Letter for room 5: your signature",
        "She is fetched at six. All the rest is done.",
        &[Opened(9, &[T])],
    )
    .to(&[T]),
    talk(
        28,
        T,
        "Potassium 6.9, room 12",
        "A new sample at once, please, and an ECG. I am in theatre for another quarter of an hour.",
        &[
            Opened(1, &[H]),
            // After two minutes the site reminds those whom it is for.
            Opened(2, &[A]),
            OnMyWay(0, A),
            Reply(7, A, "The sample is in the laboratory. The ECG looks like yesterday’s."),
            Reply(8, T, "4.4 in the new one, the first was haemolysed. Thank you!"),
            Opened(1, &[A]),
            DutyDone(0, A),
            Done(0, A),
        ],
    )
    .to(&[WARD_3])
    .urgent(UrgentPolicy::Fast),
    talk(6, H, "Late patient at the side entrance", "Mr. K. for the dressing change. Who takes him?", &[])
        .to(&[WARD_3]),
];
