use super::*;

/// Figures made up: `slow` times everything that takes time.
pub(crate) fn made_up(slow: u32, template: bool) -> Figures {
    let rotation = |milliseconds: u64| Rotation {
        time: Duration::from_millis(milliseconds),
        cpu: Duration::from_millis(milliseconds / 2),
        peak_memory: 7_600_000,
        start_ups: vec![Duration::from_millis(milliseconds / 6); 4],
        calls: Vec::new(),
    };
    let demands = |calls, failed| Demands {
        calls,
        sequence_in_set: 2,
        sequence_elsewhere: 2,
        logins: Logins { connections: 2 + failed, failed },
    };
    let rotations = |milliseconds| Rotations {
        cold: vec![rotation(milliseconds); 3],
        warm: vec![Duration::from_millis(milliseconds / 3); 3],
    };
    let slow_milliseconds = 90 * u64::from(slow);
    Figures {
        start_ups: vec![Duration::from_millis(9) * slow; 5],
        tls: rotations(slow_milliseconds + 20),
        plaintext: rotations(slow_milliseconds),
        demands: demands(14, 0),
        sizes: [5_120_000, 2_430_000],
        bare: Bare {
            start_ups: vec![Duration::from_millis(6); 5],
            peak_memory: 3_000_000,
            sizes: [1_290_000, 600_000],
        },
        template: template
            .then(|| Template { rotations: rotations(2_980), demands: demands(14, 1) }),
    }
}

#[test]
fn the_median_is_the_middle_and_between_two_middles_their_mean() {
    let of = |times: &[u64]| {
        median(&times.iter().map(|&time| Duration::from_millis(time)).collect::<Vec<_>>())
    };
    assert!((of(&[9, 1, 2]) - 2.0).abs() < 1e-9);
    assert!((of(&[4, 1, 2, 9]) - 3.0).abs() < 1e-9);
    assert!(of(&[]).is_nan(), "nothing measured is no time at all");
}

#[test]
fn a_figure_over_its_budget_is_noticed() {
    assert!(made_up(1, true).within_budget());
    let over = |figures: &Figures| -> Vec<&'static str> {
        figures.rows().iter().filter(|row| !row.kept).map(|row| row.unit).collect()
    };
    // The start, the rotation and the CPU; without a template beside it only the start.
    assert_eq!(over(&made_up(3, true)), ["ms", "ms", "ms"]);
    assert_eq!(over(&made_up(3, false)), ["ms"]);
    let mut figures = made_up(1, false);
    figures.demands.calls = 15;
    figures.demands.logins = Logins { connections: 1, failed: 1 };
    figures.sizes = [6_500_001, 3_000_001];
    assert_eq!(over(&figures), ["MB", "MB", "", "", ""]);
    // What was never measured keeps to nothing.
    figures = made_up(1, false);
    figures.start_ups.clear();
    assert_eq!(over(&figures), ["ms"]);
}
