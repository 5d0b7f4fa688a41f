/**
 * Speculative decoding of the embedded LLM by n-gram look-up: two servers with the same weights, one of which drafts the
 * tokens that followed the same n-gram before, in the prompt or its answer. Both get the same prompts in turn, one at a time:
 * some whose answer repeats the prompt, and open questions. Prints tokens a second, the share of the drafted tokens that was
 * accepted, and on how many prompts both gave the same text.
 *
 *   npm run bench:speculative [-- --json] [--rounds N] [--tokens N]
 */
import path from 'node:path';
import { RECIPE } from '../../deploy/local/stack/paths.js';
import { preparePrograms } from '../../deploy/local/stack/python.js';
import { type Answer, LlmServer } from '../../measure/optimize/index.js';
import { readSettings } from '../../workers/settings.js';
import { round as exactly, loadAverages, median, note } from '../figures.js';
import { parseOptions } from '../options.js';
import { environmentOf } from '../own-stack.js';
import { PROMPTS } from './prompts.js';

const { values: options } = parseOptions({
  options: {
    json: { type: 'boolean' },
    rounds: { type: 'string', default: '3' },
    tokens: { type: 'string', default: '8' },
  },
});
const ROUNDS = Number(options.rounds);
const DRAFTED = Number(options.tokens);

const round = (value: number) => exactly(value, 2);
const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);

interface Pair {
  readonly plain: Answer;
  readonly drafted: Answer;
}

/** Every prompt at both servers, `ROUNDS` times, the first server alternating. */
async function compare(prompts: readonly string[], plain: LlmServer, drafting: LlmServer): Promise<Pair[]> {
  const pairs: Pair[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    for (const prompt of prompts) {
      const first = i % 2 === 0 ? await plain.answer(prompt) : undefined;
      const drafted = await drafting.answer(prompt);
      pairs.push({ plain: first ?? (await plain.answer(prompt)), drafted });
    }
  }
  return pairs;
}

function figuresOf(pairs: readonly Pair[]) {
  const perSecond = ({ tokens, ms }: Answer) => (1_000 * tokens) / ms;
  const drafted = sum(pairs.map(({ drafted: each }) => each.drafted));
  const accepted = sum(pairs.map(({ drafted: each }) => each.accepted));
  const tokens = sum(pairs.map(({ drafted: each }) => each.tokens));
  return {
    plain: { tokensPerS: round(median(pairs.map(({ plain }) => perSecond(plain)))) },
    ngram: {
      tokensPerS: round(median(pairs.map(({ drafted: each }) => perSecond(each)))),
      drafted,
      acceptance: drafted === 0 ? 0 : round(accepted / drafted),
      tokensPerStep: round(tokens / (tokens - accepted)),
    },
    speedup: round(median(pairs.map(({ plain, drafted: each }) => perSecond(each) / perSecond(plain)))),
    sameText: `${pairs.filter(({ plain, drafted: each }) => plain.text === each.text).length} of ${pairs.length}`,
  };
}

const settings = readSettings(environmentOf({ name: 'bench-speculative', portBase: 7880 }));
const { MILLRACE_HOME: home, MILLRACE_VENV: venv, MILLRACE_PYTHON: explicitPython } = settings;
const { llm } = await preparePrograms(['llm'], {
  ...{ home, venv: venv ?? path.join(home, 'venv'), recipe: RECIPE, explicitPython },
  ...{ env: process.env, onStep: note },
});
if (llm === undefined) throw new Error('there is no LLM server');
const servers: LlmServer[] = [];
try {
  const plain = await LlmServer.start(llm, llm.weights, 7_888);
  servers.push(plain);
  const drafting = await LlmServer.start(llm, llm.weights, 7_889, ['--draft-tokens', String(DRAFTED)]);
  servers.push(drafting);
  for (const server of servers) await server.answer('Say hello.');
  const assistant = {
    repeating: figuresOf(await compare(PROMPTS.repeating, plain, drafting)),
    open: figuresOf(await compare(PROMPTS.open, plain, drafting)),
  };
  const load = loadAverages();
  if (options.json)
    process.stdout.write(`${JSON.stringify({ assistant, draftedTokens: DRAFTED, rounds: ROUNDS, load })}\n`);
  else {
    for (const [name, { plain: alone, ngram, speedup, sameText }] of Object.entries(assistant))
      process.stdout.write(
        `${name.padEnd(9)} ${alone.tokensPerS} tokens/s alone, ${ngram.tokensPerS} with n-grams (${speedup} times); ${ngram.acceptance} of ${ngram.drafted} drafted tokens accepted, ${ngram.tokensPerStep} tokens a step; same text ${sameText}\n`,
      );
    process.stdout.write(`${DRAFTED} tokens drafted, medians of ${ROUNDS} rounds, load average ${load.join(', ')}\n`);
  }
} finally {
  for (const server of servers) await server.stop();
}
