/**
 * Stories that are spoken while they are told, and a kill in each: of a worker, the gateway, Triton, the LLM server or
 * the state store, at a seeded point. An observer outside the run reads both channels, a client hears the audio while it
 * is made, and taps in front of the models note every call.
 *
 *   npm run chaos:streams -- [--kills 50] [--victims worker,gateway,triton,llm,redis] [--seed 1] [--json]
 *
 * `kills` of each victim. A kill whose point comes after the end of its story is drawn again, with the next story; the report counts those too.
 * Every sentence's samples must be in the final audio once and in order: those that the voice
 * makes of it when it is asked outside the run, if it is found to be deterministic. What a client received must be the
 * beginning of the final audio, the text that of the channel, and no call may begin after its result was committed.
 * `resumeMs`: from the kill to the next entry of either channel. Exit status 1 if any of this does not hold, or a run
 * fails, or kills are missing.
 */
import { loadavg } from 'node:os';
import { countOf, namesOf, printReport, runToExit } from '../chaos/kill-bench.js';
import { Seeded } from '../chaos/seeded.js';
import { note, percentile, round } from '../figures.js';
import { parseOptions } from '../options.js';
import { drawKills } from './draw-kills.js';
import { storyWithKill } from './run.js';
import { Scene, type Victim } from './scene.js';
import { judge, type Verdict } from './verdict.js';

const { values: options } = parseOptions({
  options: {
    kills: { type: 'string', default: '50' },
    victims: { type: 'string', default: 'worker,gateway,triton,llm,redis' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean' },
  },
});
const KILLS = countOf('kills', options.kills);
const SEED = Number(options.seed);
const KNOWN: readonly Victim[] = ['worker', 'gateway', 'triton', 'llm', 'redis'];
const VICTIMS = namesOf('victims', options.victims, KNOWN);

interface Tried {
  readonly victim: Victim;
  readonly verdict: Verdict;
  readonly killed: boolean;
}

async function main(scene: Scene): Promise<number> {
  const sentence = 'A fox once found a lantern in the wood.';
  const deterministic = (await scene.speak(sentence)).equals(await scene.speak(sentence));
  note(`the voice is ${deterministic ? '' : 'not '}deterministic`);
  const tried: Tried[] = [];
  let failed = 0;
  let missing = 0;
  for (const victim of VICTIMS) {
    const random = new Seeded(SEED, victim);
    missing += await drawKills(KILLS, async (number) => {
      await scene.whole();
      try {
        const evidence = await storyWithKill(scene, victim, { number, random, deterministic });
        const verdict = judge(evidence);
        const killed = evidence.killedAt !== undefined;
        tried.push({ victim, verdict, killed });
        const { way, run, point } = evidence;
        const at = `${point.entries} ${point.of} + ${Math.round(point.afterMs)} ms${victim === 'worker' ? ` (${point.stage})` : ''}`;
        note(
          `${victim} ${number}, ${way}, ${run}, ${at}${killed ? '' : ', after the end'}: ${JSON.stringify(verdict)}`,
        );
        return killed;
      } catch (error) {
        failed += 1;
        note(`${victim} ${number} failed: ${error instanceof Error ? error.message : String(error)}`);
        return true;
      }
    });
  }
  const sum = (of: (verdict: Verdict) => number) => tried.reduce((all, { verdict }) => all + of(verdict), 0);
  const by = (of: (verdict: Verdict) => number | undefined) =>
    Object.fromEntries(
      VICTIMS.map((victim) => {
        const values = tried.flatMap((each) => (each.victim === victim && each.killed ? (of(each.verdict) ?? []) : []));
        return [
          victim,
          { p50: round(percentile(values, 0.5)), p95: round(percentile(values, 0.95)), n: values.length },
        ];
      }),
    );
  const report = {
    kills: tried.filter(({ killed }) => killed).length,
    afterTheEnd: tried.filter(({ killed }) => !killed).length,
    /** Kills that fell after the end of their story each time they were drawn. */
    missing,
    failed,
    lostSentences: sum(({ lostSentences }) => lostSentences),
    twice: sum(({ twice }) => twice),
    prefixBroken: sum(({ prefixBroken }) => Number(prefixBroken)),
    repeatedCalls: sum(({ repeatedCalls }) => repeatedCalls),
    textDiffers: sum(({ textDiffers }) => Number(textDiffers)),
    givenUp: sum(({ givenUp }) => Number(givenUp)),
    deterministicVoice: deterministic,
    resumeMs: by(({ resumeMs }) => resumeMs),
    longestGapMs: by(({ longestGapMs }) => longestGapMs),
    seed: SEED,
    load: round(loadavg()[0] ?? 0, 1),
  };
  printReport(report, options.json);
  const { lostSentences, twice, prefixBroken, repeatedCalls, textDiffers } = report;
  return failed + missing + lostSentences + twice + prefixBroken + repeatedCalls + textDiffers > 0 ? 1 : 0;
}

const scene = await Scene.open();
await runToExit(
  () => main(scene),
  () => scene.close(),
);
