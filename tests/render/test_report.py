"""What the report of an evaluation says, and that nothing in it can act."""

import re
from dataclasses import replace

import pytest
from reports import FAILURE, Page, report_of

from daf.evaluation.findings import headline
from daf.evaluation.page import FailureText, render_html, render_markdown
from daf.render.pages.html import link

HOSTILE = (
    "<script>alert(1)</script>",
    "a\"'><img src=x onerror=alert(1)>",
    "\x1b[31mred\u202egnp.exe",
    "{{ 7 * 7 }}`|*b*|[x](javascript:alert(1))",
)


def test_the_ranked_table_shows_every_policy_with_mean_and_interval():
    report = report_of()
    rows = Page(render_html(report)).rows
    for summary in report.ranking:
        row = next(row for row in rows if row[:2] == [str(summary.rank), summary.name])
        assert float(row[2]) == pytest.approx(summary.mean, abs=0.06)
        low, high = (float(bound) for bound in row[3].split(" to "))
        assert (low, high) == pytest.approx(summary.ci, abs=0.06)
        assert row[6] == "20"


def test_every_pair_is_reported_in_its_sentence_and_with_its_numbers():
    report = report_of()
    page = Page(render_html(report))
    for pair in report.pairs:
        if pair.stratum is None:
            assert pair.sentence in page.text
            row = next(row for row in page.rows if row[:3] == [pair.name_a, pair.name_b, pair.verdict])
            assert row[-1] == f"{pair.wins} / {pair.ties} / {pair.losses}"
            assert float(row[7]) == pytest.approx(pair.effect_size, abs=0.006)


def test_every_episode_has_a_row_with_its_seed_key_and_rewards():
    report = report_of(blocks=4)
    page = Page(render_html(report))
    text = page.text
    rows = [row for row in page.rows if len(row) == 9 and row[0] in ("arena", "tutorial.miner")]
    shown = [(row[0], int(row[1]), int(row[2]), row[3], float(row[4])) for row in rows]
    assert shown == [
        (
            episode.mission,
            episode.index,
            episode.seed,
            episode.contender,
            pytest.approx(episode.reward_per_agent, abs=6e-4),
        )
        for episode in report.episodes
    ]
    for episode in report.episodes:
        assert episode.key in text
        assert ", ".join(f"{reward:.4g}" for reward in episode.rewards) in text


def test_the_same_report_gives_the_same_bytes():
    assert render_html(report_of()) == render_html(report_of())
    assert render_markdown(report_of()) == render_markdown(report_of())


def test_no_address_outside_the_page_is_in_it():
    html = render_html(report_of())
    assert not re.findall(r"https?:|//|url\(|@import", html)
    for tag, attributes in Page(html).elements:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            target = attributes.get(name)
            assert target is None or target.startswith(("./replays/", "#", "data:,")), (tag, target)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_text(name):
    plain = report_of(policies=("first", "second"), missions=("arena",), blocks=6)
    failure = FailureText("policy", name, name)
    report = report_of(
        policies=(name, "second"),
        missions=(name,),
        blocks=6,
        notes=[name],
        fails=lambda mission, block, policy: block == 3 and policy == 0,
        failure=failure,
    )
    html = render_html(report)
    page = Page(html)
    assert {tag for tag, _ in page.elements} - {tag for tag, _ in Page(render_html(plain)).elements} <= {
        "ul",
        "li",
        "br",
        "title",
    }
    assert not any(attribute.startswith("on") for _, attributes in page.elements for attribute in attributes)
    assert sum(tag == "script" for tag, _ in page.elements) == 1
    assert "49" not in page.by_id["finding"]
    assert report.pairs[0].name_a in page.text


def test_control_and_direction_characters_of_names_are_written_out():
    html = render_html(report_of(policies=(HOSTILE[2], "b"), missions=("arena",), notes=[HOSTILE[2]]))
    assert "\x1b" not in html
    assert "\u202e" not in html
    assert r"\x1b[31mred\u202egnp.exe" in Page(html).text


def test_a_replay_path_cannot_become_a_scheme():
    assert link("javascript:alert(1)") == "./javascript%3Aalert%281%29"
    assert link("//evil/x") == "./evil/x"
    assert link("replays/arena-a b.json.z") == "./replays/arena-a%20b.json.z"


def test_failures_stand_before_the_finding_with_their_traceback():
    note = "4 of 60 episodes failed (random: 4). They count nowhere as 0."
    html = render_html(report_of(fails=lambda m, block, p: block in (2, 5) and p == 1, notes=[note]))
    page = Page(html)
    assert "random: ValueError: no such action (policy, 4 of 60 episodes)" in page.text
    assert "Seeds: arena: 44, 47; tutorial.miner: 44, 47" in page.text
    assert 'File "bad.py", line 3' in page.text
    assert html.index(note) < html.index('id="finding"')


def test_a_failed_episode_has_no_number_in_its_row():
    page = Page(render_html(report_of(blocks=4, fails=lambda m, block, p: (m, block, p) == (0, 1, 2))))
    row = next(row for row in page.rows if "failed" in row)
    assert row[:7] == ["arena", "1", "43", "noop", "", "", "failed"]
    assert FAILURE.message in row[7]


def test_tracebacks_of_a_thousand_failures_stay_small():
    long = FailureText("policy", "boom", "x" * 50_000)
    html = render_html(report_of(blocks=170, fails=lambda m, block, p: True, failure=long))
    assert "38,000 characters omitted" in html
    assert len(html) < 1_000_000


@pytest.mark.parametrize(
    ("options", "finding"),
    [
        ({"policies": ["a"], "missions": ["arena"], "blocks": 1, "value": 2.5}, "a scores 2.50 reward per agent on"),
        ({"value": 0.0}, "All 3 policies score exactly the same over 2 missions in all 20 episodes."),
        ({"fails": lambda m, b, p: True}, "No episode finished"),
        ({"blocks": 3, "fails": lambda m, b, p: b == p}, "No block was finished by every policy"),
        ({"blocks": 0}, "No episode was played."),
        ({"step": 3.0}, "starter beats both others."),
        ({"policies": ["a", "b", "c"], "blocks": 1, "missions": ["x"]}, "There are too few episodes to compare"),
    ],
)
def test_the_finding_claims_what_the_data_carry(options, finding):
    report = report_of(**options)
    assert finding in headline(report)
    assert finding in Page(render_html(report)).by_id["finding"]
    assert finding in render_markdown(report)


def test_policies_that_share_the_first_rank_are_named_together():
    report = report_of(policies=["a", "b", "c"], missions=["arena"], step=3.0)
    first, second, third = report.ranking
    shared = replace(report, ranking=[first, replace(second, rank=1), third])
    assert headline(shared).startswith("a and b share first place with")


def test_a_lead_that_only_single_missions_show_is_not_claimed_overall():
    ahead, behind = report_of(missions=["arena", "miner"], step=3.0), report_of(missions=["arena", "miner"], step=0.0)
    pairs = [pair for pair in behind.pairs if pair.stratum is None] + [p for p in ahead.pairs if p.stratum == 0]
    report = replace(ahead, pairs=pairs)
    first = report.ranking[0].name
    assert f"{first} beats" not in headline(report)
    assert f"On single missions, 2 of {first}'s 2 comparisons are significant." in headline(report)
    assert "On single missions" not in headline(ahead)


def test_twelve_policies_on_twenty_missions_are_folded_not_left_out():
    report = report_of([f"policy-{i}" for i in range(12)], [f"mission-{i}" for i in range(20)], blocks=4)
    html = render_html(report)
    page = Page(html)
    assert sum(attributes.get("class") == "mission" for _, attributes in page.elements) == 20
    assert not any("open" in attributes for tag, attributes in page.elements if tag == "details")
    assert "66 findings in words" in page.text
    leads = [row for row in page.rows if len(row) == 13 and "policy-3" in row[0]]
    assert len(leads) == 1
    assert leads[0][4] == ""
    assert len(html) < 1_300_000


def test_a_thousand_episodes_make_less_than_a_megabyte():
    report = report_of([f"policy-{i}" for i in range(5)], [f"mission-{i}" for i in range(4)], blocks=50, agents=20)
    assert len(report.episodes) == 1000
    assert len(render_html(report).encode()) < 1_000_000


def test_a_page_too_long_to_open_keeps_every_failure_and_says_what_it_leaves_out():
    report = report_of(["a", "b"], ["arena"], blocks=1, agents=1)
    ok = report.episodes[0]
    failed = [replace(ok, index=block, key=f"failed{block}", reward_per_agent=None) for block in (3, 10_900)]
    episodes = [replace(ok, index=block, key=f"key{block}") for block in range(11_000)]
    for episode in failed:
        episodes[episode.index] = episode
    html = render_html(replace(report, episodes=episodes))
    assert "Here are 10,000 of 11,000 episodes" in Page(html).text
    assert "failed3" in html
    assert "failed10900" in html
    assert "key10899" not in html
    assert len(html) < 8_000_000


def test_markdown_keeps_names_from_becoming_markup():
    report = report_of(policies=(HOSTILE[0], HOSTILE[3]), missions=("machina_1",), blocks=6, notes=["a | b"])
    text = render_markdown(report)
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert r"a \| b" in text
    assert "on machina_1 by" in text
    assert "](javascript" not in text.replace(r"\](", "")
    table = [line for line in text.splitlines() if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {8, 3}


def test_commands_between_backticks_are_code_and_nothing_else_is_markup() -> None:
    from daf.render.pages.html import commands

    assert commands("`daf power` plans <b> `x`") == "<code>daf power</code> plans &lt;b&gt; <code>x</code>"
    assert commands("one ` backtick <") == "one ` backtick &lt;"
    assert commands("`<script>`") == "<code>&lt;script&gt;</code>"
