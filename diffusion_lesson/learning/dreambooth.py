"""The seven dogs of the DreamBooth data set: where their photographs are, their checksums, and who took them.

Ruiz and others, arXiv:2208.12242; github.com/google/dreambooth, CC BY 4.0. Five photographs of each dog, six
of two. Those of dog5 are four and a mirror: 03 is 02, flipped.
"""

COMMIT = "4f887af7970a06fc0cd3adaa1d0b368547d6a1d0"
MIRRORS = (
    f"https://raw.githubusercontent.com/google/dreambooth/{COMMIT}/dataset/",
    f"https://github.com/google/dreambooth/raw/{COMMIT}/dataset/",
)
PHOTOGRAPHERS = {  # as references_and_licenses.txt beside the photographs names them
    "dog": "unsplash.com/@alvannee",
    "dog2": "unsplash.com/@lukasz_rawa",
    "dog3": "Yael Pritch",
    "dog5": "unsplash.com/@macrz",
    "dog6": "unsplash.com/@alvannee",
    "dog7": "unsplash.com/@o5ky",
    "dog8": "unsplash.com/@marslady",
}
_SHA256 = {
    "dog": (
        "adeda67e5dac2a62ac5d122a32ba0365546150da40455d035760c142ebf82c97",
        "fcb5dcd60a3d02a81e908fd8f37f2bcd533b1258f2ee852a962742cb4bb6e62d",
        "daad1959b4754734000bcb3699d616876f49797960a2c2b36915503fd5a1c1e5",
        "1da748df122f41169c4fb41d3476ff84f2c738aa94b267871aa5ec8a945898dc",
        "be64947acdf522c2c26368b658d8d5594d3a9b90d9e460f42d84b4c19bd6e9bc",
    ),
    "dog2": (
        "f08aa4923c35e17dca1881330e96a787f3a1c97394398ab3694454b4a4350ac0",
        "b321a8635cac2551e6a6e207c32d43c4b2bc8bb71a238bfeba3b0fbb2c0faa0d",
        "5548b9f76ba808793ff3c9bc73525810f442ba9284dcaa95894a51dda1890879",
        "70d38398ebe495894c945a0aed839d0a634174fdba14635863c51fdc43af568c",
        "669eb8f1830aee0589a0c783f62efada67f050132621317d9a4ed6ced0de2795",
        "947794cde6a3bf524b370240b24e3c65e19dd64b977f13decb18fa9f28d1b947",
    ),
    "dog3": (
        "fbcd579dce6815fda0908bbad98e7d4e8e14a21253c9f2aa66c8e158109f0c35",
        "928065e1b52404877dd1ba21cc772805b9419707d5643c7623fccdf1b1caab32",
        "15b54d9af1b02481c0e62a35024f7cdc97473f7aa0c68af76ea42e90373858f0",
        "af96b4bf6d4c6339cd1b7fe5abcc2068d5d82934c439cb4a57c5201bf6755790",
        "4ca8d87cf7baead0687f054c1ce16bcfd570d09ff367f297e8c29d5d37e4ca1f",
        "f91476780363cec20e3324745d1ecce2b53573d9506d6dd245ee0b2e5acb062e",
    ),
    "dog5": (
        "42e96a78608ec2644115b964f5f97ddc48d099f5c458863a7070f4c83aab1a90",
        "c97071e25f3db4aaba96428ca60f08307cc25f82100d308acd1850f907027660",
        "0a6146e041e170855be06a6d43a8b1e5e197c39345e43829a512c551c925417d",
        "9126c4cb458e679b0ca23a3f8d260293de81fe80d90d5bf2ffdaec3597929334",
        "5cd22c1d6bdbdcaa64e9acc9a65d4ab49cc0092409cc1e1193d8d8a753cdf40c",
    ),
    "dog6": (
        "1df8d68a0d7967146ce46f5e0da80b891d335bc3e3e01512924a1eb9625592fa",
        "7d7ee451e8b6fd252a8b19ea74b6436480fa5b202ae6c73312f4de583c3e179a",
        "ff206a9787229e33e6fdc0810ed902531f7a18b0ddb42e9529d8a605895bcb9e",
        "aae1d9941213265c94500b1007d31f0b16c1e6eae00771ef5b03512e0d394815",
        "481ca0d17c0dd4cbe3e879bf8a222d0487401b497717b3c9ee69369482a1e414",
    ),
    "dog7": (
        "2f3f49cc7247fe97302fe98ce7244153b98de89c9785c511035b01758a147426",
        "c8dc22728777cf4be26f5f527b6d96a26a61d5c35dbccb1e0ef9fceb6d107fe8",
        "817df940f51a080f511676858c14c86acb8d92b4d667b32f99045534d9cfbb89",
        "d0e23baea883a23d408647c0098eda24d43cdc6e76890ac54a7c5dca297dbec9",
        "1f567bde72a052992e24956608bc30c4cd9edea60f314a962f0b7e9d10b7278f",
    ),
    "dog8": (
        "0c14902bd3fc3101ff1a27a1bbe9f6632466ae27db95eea1b2f94352341facd9",
        "2ebdbeb2d24e19ac07e1274b765277993cfc859eba875548d381a1ed85e5a017",
        "babacdd40fb3bd39fdde8c72a60bd98a622df49c288f2ac54606a63220549692",
        "daac6f70cbe6a9191d4878fa2fb55de08940b9a5b36573f8344d9db02c5325eb",
        "1994030da6d469b983f04c3e0161f49fb5b3b0a261d5f7dc56aefaed1ae74d8f",
    ),
}
CHECKSUMS = {
    f"dreambooth/{dog}/{number:02d}.jpg": f"sha256:{checksum}"
    for dog, checksums in _SHA256.items()
    for number, checksum in enumerate(checksums)
}


def files(dog: str) -> list[str]:
    """The photographs of one dog, as `downloads.fetch` takes them. ValueError for a name that is none of these."""
    if dog not in _SHA256:
        raise ValueError(f"name: expected one of {', '.join(_SHA256)}, got {dog!r}")
    return [file for file in CHECKSUMS if file.split("/")[1] == dog]
