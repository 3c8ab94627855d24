"""Which variants a study compares."""

from monai_app.study import contrasts_of
from monai_app.study.claims import single_pairs

NINE = [
    f"{network}_{detectors}_{slices}"
    for network, slices in (("unet", 1), ("unet", 3), ("sensor3d", 3))
    for detectors in ("ice", "tld", "ice+tld")
]


def test_the_nine_variants_answer_three_questions() -> None:
    found = {(each.claim, each.better, each.worse): len(each.pairs) for each in contrasts_of(NINE)}
    assert found == {
        ("detectors", "ICE+TLD", "ICE"): 3,
        ("detectors", "ICE+TLD", "TLD"): 3,
        ("slices", "U-Net of 3 slices", "U-Net of 1 slice"): 3,
        ("both", "Sensor-3D of 3 slices", "U-Net of 1 slice"): 3,
        ("network", "Sensor-3D of 3 slices", "U-Net of 3 slices"): 3,
    }


def test_pairs_differ_in_one_thing_alone() -> None:
    [detectors] = [each for each in contrasts_of(NINE) if (each.better, each.worse) == ("ICE+TLD", "TLD")]
    assert detectors.pairs == (
        ("unet_ice+tld_1", "unet_tld_1"),
        ("unet_ice+tld_3", "unet_tld_3"),
        ("sensor3d_ice+tld_3", "sensor3d_tld_3"),
    )


def test_detectors_of_any_names_and_number_are_compared() -> None:
    variants = [f"unet_{names}_1" for names in ("SE", "BSE", "EDX", "SE+BSE", "EDX+SE+BSE")]
    found = [(each.better, each.worse) for each in contrasts_of(variants)]
    assert found == [("BSE+EDX+SE", smaller) for smaller in ("SE", "BSE", "EDX", "BSE+SE")]


def test_what_a_design_lacks_is_not_compared() -> None:
    assert contrasts_of(["unet_ice_1"]) == []
    assert [each.claim for each in contrasts_of(["unet_ice_1", "sensor3d_ICE_3"])] == ["both"]


def test_every_pair_can_be_looked_at_alone() -> None:
    singles = single_pairs(contrasts_of(NINE))
    assert len(singles) == 15
    assert ("unet_ice+tld_1", "unet_ice_1") in [(each.better, each.worse) for each in singles]


def test_cleaning_and_the_methods_of_before_are_compared_with_networks_on_raw_images() -> None:
    variants = ["unet_ICE_1", "unet_ICE_1@cleaned", "otsu_ICE_1@cleaned", "forest_ICE_3@cleaned", "forest_ICE_3"]
    found = [(each.claim, each.better, each.worse) for each in contrasts_of(variants)]
    assert found == [
        ("cleaning", "U-Net of 1 slice on cleaned images", "U-Net of 1 slice on raw images"),
        ("baselines", "U-Net of 1 slice on raw images", "multi-Otsu thresholds of 1 slice on cleaned images"),
        ("baselines", "U-Net of 1 slice on raw images", "random forest of 3 slices on cleaned images"),
    ]
