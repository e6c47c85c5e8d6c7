"""COCO's labels as the TF detection zoo numbers them: ids 1..90, ten of them never used (mscoco_label_map.pbtxt)."""

_NAMES = """
person bicycle car motorcycle airplane bus train truck boat traffic_light
fire_hydrant - stop_sign parking_meter bench bird cat dog horse sheep
cow elephant bear zebra giraffe - backpack umbrella - -
handbag tie suitcase frisbee skis snowboard sports_ball kite baseball_bat baseball_glove
skateboard surfboard tennis_racket bottle - wine_glass cup fork knife spoon
bowl banana apple sandwich orange broccoli carrot hot_dog pizza donut
cake chair couch potted_plant bed - dining_table - - toilet
- tv laptop mouse remote keyboard cell_phone microwave oven toaster
sink refrigerator - book clock vase scissors teddy_bear hair_drier toothbrush
""".split()  # noqa: SIM905

# Place in the tuple = label id - 1; an id that COCO never used is `unused_<id>`.
LABELS: tuple[str, ...] = tuple(
    f"unused_{number}" if name == "-" else name.replace("_", " ") for number, name in enumerate(_NAMES, start=1)
)
