from pcan_pose.models.stages import stage_blocks


def test_time_is_halved_where_a_later_stage_begins() -> None:
    assert list(stage_blocks((8, 16, 16), (2, 1, 2))) == [(8, 8, 1), (8, 8, 1), (8, 16, 2), (16, 16, 2), (16, 16, 1)]
