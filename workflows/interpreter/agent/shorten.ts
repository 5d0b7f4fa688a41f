import type { Json } from '../../../pipelines/json.js';
import { StageError } from '../../../pipelines/run/stage-error.js';
import { concernsAll, holds } from '../host.js';
import type { At } from '../state.js';
import { asideOf } from './aside.js';
import { callModel } from './call-model.js';
import type { Agent } from './candidate.js';
import { charactersAround, charactersOf, tokensOfRequest, tokensPerCharacter } from './conversation.js';
import type { KeptMessage } from './kept.js';
import { howToRead, keepTexts, nameOfResult, readerName } from './long-results.js';
import { type Keeping, middleOut, notesOf, readSummary, type Summary, summaryText, transcriptOf } from './notes.js';
import { NOTES_BY_AGE } from './notes-by-age.js';
import { NOTES_BY_WORTH } from './notes-by-worth.js';
import { type Progress, spentBeside } from './progress.js';
import { sentSummary } from './sent-summary.js';

/** Share of the room that a shortened conversation has at most, so that it need not be shortened again at once. */
const AIM = 0.6;
/** Characters of a token, as estimated. */
const CHARACTERS = 3;
/** Characters of notes for each token of the room: a quarter of it, and half where there is as much beside the turns that are left. */
export const NOTES = CHARACTERS / 4;
export const MOST_NOTES = CHARACTERS / 2;
/** Of the model's own text, at most: an eighth of the room. */
const TEXT = 1 / 8;
/** Characters of the transcript that the model sums up, likewise: the summary is written in the same context. */
const TRANSCRIPT = 0.6 * CHARACTERS;

/** A result up to this length is left as it is, in characters; a longer one is shortened to it. */
const STUB = 240;
/** Length of the note on a shortened result, at most. */
const NOTE = 200;
/** Results of the last turn keep at least this length, in characters. */
const LEAST_RESULT = 600;

/** Notes at their full length. */
const WHOLE: Pick<Keeping, 'short'> = { short: (text) => text };

/** Prompt for a summary. */
const SUMMARIZE =
  'Sum up this conversation so far in one paragraph, for yourself to go on with later: who the user is, names, numbers, what was decided and done, what is open. Nothing else.';

/** What the conversation may have, in tokens, and the summary of a session before it. */
export interface Room {
  readonly tokens: number;
  readonly summary: string | undefined;
}

/**
 * The progress with a conversation that fits: first old results lose all but their beginning, then all turns but the
 * last two are replaced by a summary, then all but the last, whose results are shortened at the end. Nothing that was
 * said by the user or done by a tool is lost without a note. The prompt is never shortened.
 */
export async function shortened(agent: Agent, at: At, progress: Progress, room: Room): Promise<Progress> {
  const { run, stage, plan } = agent;
  run.table.doing(stage.id, 'shortens the conversation');
  const aim = room.tokens * AIM;
  const fits = (now: Progress): boolean =>
    tokensOfRequest(
      charactersAround(plan, sentSummary(at, now, room.summary)) + charactersOf(now.messages),
      now.measured,
    ) <= aim;
  let now = await withStubs(agent, at, progress, lastTurn(progress));
  if (fits(now)) return now;
  for (const turns of [2, 1]) {
    now = await summedUp(agent, at, now, turns, room);
    if (fits(now)) return now;
  }
  return withShortResults(agent, at, now, aim);
}

/** Index of the first message of the last turn; the number of messages if there is none. */
function lastTurn({ messages, given }: Progress, turns = 1): number {
  const starts = messages.flatMap(({ role }, i) => (role === 'assistant' && i >= given ? [i] : []));
  return starts.length < turns ? given : (starts.at(-turns) as number);
}

/** Results before a message, shortened to their beginning; those not kept apart yet are, in one call. */
async function withStubs(agent: Agent, at: At, progress: Progress, before: number): Promise<Progress> {
  return cutResults(agent, at, progress, 'old', (i) => (i < before ? STUB : undefined));
}

/** The last resort: the results of the last turn share what room is left. */
async function withShortResults(agent: Agent, at: At, progress: Progress, aim: number): Promise<Progress> {
  const { messages, measured } = progress;
  const summary = sentSummary(at, progress, undefined);
  const results = messages.filter(({ role }) => role === 'tool');
  if (results.length === 0) return progress;
  const others = charactersAround(agent.plan, summary) + charactersOf(messages.filter(({ role }) => role !== 'tool'));
  const rate = measured && measured.characters > 0 ? measured.tokens / measured.characters : 1 / CHARACTERS;
  const share = Math.floor((aim / Math.max(rate, 1 / CHARACTERS) - others) / results.length);
  return cutResults(agent, at, progress, 'last', () => Math.max(LEAST_RESULT, share));
}

async function cutResults(
  agent: Agent,
  at: At,
  progress: Progress,
  name: string,
  mostOf: (i: number) => number | undefined,
): Promise<Progress> {
  const { messages, turns } = progress;
  const long = messages.flatMap((message, i) => {
    const most = mostOf(i);
    if (message.role !== 'tool' || most === undefined) return [];
    const { content, shortened: before } = message;
    return content.length > most + (before ? NOTE : 0) ? [{ message, i, most }] : [];
  });
  if (long.length === 0) return progress;
  const apart = long.filter(({ message }) => message.whole === undefined);
  const names = await keptApart(
    agent,
    at,
    progress,
    `${name}-${turns + 1}`,
    apart.map(({ message }) => message.content),
  );
  const free = readerName(agent.plan.tools);
  const { reading: offered = free } = agent;
  // The length of the name decides whether the conversation fits, and hence what is commanded.
  const reading = offered !== free && holds(at.host, 'shortened-results-are-kept') ? offered : free;
  const changed = new Map<number, KeptMessage>();
  for (const { message, i, most } of long) {
    const whole = message.whole ?? names.ids[apart.findIndex((each) => each.i === i)];
    const { shortened: before, ...rest } = message;
    const beginning = message.content.slice(0, most);
    const note = `[Shortened to save room.${whole === undefined ? '' : ` ${howToRead(reading, whole).slice(1, -1)}`}]`;
    changed.set(i, {
      ...rest,
      content: `${beginning}…\n${note}`,
      ...(whole !== undefined && { whole }),
      shortened: before ?? true,
    });
  }
  return {
    ...progress,
    messages: messages.map((message, i) => changed.get(i) ?? message),
    ...(names.wholes && { wholes: names.wholes }),
  };
}

/** Stores texts under new names. Without names if they cannot be stored: the conversation must be shortened anyway. */
async function keptApart(
  agent: Agent,
  at: At,
  { wholes = {}, inSession, turns, rejectedIn }: Progress,
  name: string,
  texts: readonly string[],
): Promise<{ readonly ids: readonly (string | undefined)[]; readonly wholes?: Progress['wholes'] }> {
  if (texts.length === 0 || !agent.plan.context) return { ids: [] };
  // Others may have been kept before the server rejected the turn's call.
  const others = rejectedIn === turns + 1 && at.memo.below(`kept-${name}`).value !== undefined;
  const of = others && holds(at.host, 'shortened-results-are-kept') ? `${name}-again` : name;
  const kept = at.memo.below(`kept-${of}`);
  try {
    if (kept.value === undefined) {
      const path = `${at.prefix}${agent.row}/results-${of}`;
      kept.end((await keepTexts(agent, at, texts, path)) as unknown as Json);
    }
  } catch (error) {
    if (error instanceof StageError && !concernsAll(error, at.host)) return { ids: [] };
    throw error;
  }
  const stored = kept.value as unknown as Awaited<ReturnType<typeof keepTexts>>;
  const first = Object.keys(wholes).length + 1;
  const ids = stored.map(({ artifact }, i) => nameOfResult(first + i, artifact, inSession));
  const more = Object.fromEntries(stored.map(({ artifact }, i) => [ids[i] as string, artifact]));
  return { ids, wholes: { ...wholes, ...more } };
}

/** Everything but the caller's system messages, the prompt and the last turns, replaced by a summary. */
async function summedUp(agent: Agent, at: At, progress: Progress, turns: number, room: Room): Promise<Progress> {
  const { messages, given } = progress;
  const prompt = given - 1;
  const from = lastTurn(progress, turns);
  const before = messages.slice(0, prompt);
  // What is left decides whether a further summary is needed, and hence what is commanded.
  const stays: (message: KeptMessage) => boolean =
    before.some(isOfSystem) && holds(at.host, 'system-messages-stay') ? isOfSystem : () => false;
  const kept = before.filter(stays);
  const removed = [...before.filter((message) => !stays(message)), ...messages.slice(given, from)];
  if (removed.length === 0) return progress;
  const left = [...kept, messages[prompt] as KeptMessage, ...messages.slice(from)];
  // Whether a further summary is needed, and hence what is commanded, depends on the length of the notes.
  const byWorth = holds(at.host, 'notes-by-worth');
  const written = await summaryOf(agent, at, {
    progress,
    before: readSummary(progress.summary ?? room.summary),
    removed,
    tokens: room.tokens,
    characters: byWorth ? roomForNotes(agent, progress, left, room) : room.tokens * NOTES,
    name: `summary-${progress.turns + 1}-${turns}`,
    keeping: byWorth ? NOTES_BY_WORTH : NOTES_BY_AGE,
    setsAside: holds(at.host, 'notes-set-aside'),
  });
  return {
    ...written.progress,
    messages: left,
    given: kept.length + 1,
    summary: written.summary,
  };
}

const isOfSystem = ({ role }: KeptMessage): boolean => role === 'system';

/** Characters that notes may have so that the conversation fits with what is left of it and the model's own text. */
function roomForNotes(
  { plan }: Agent,
  { measured, rejectedIn }: Progress,
  left: readonly KeptMessage[],
  { tokens }: Pick<Room, 'tokens'>,
): number {
  // The first request was refused: its characters have more tokens than estimated.
  if (measured === undefined && rejectedIn !== undefined) return tokens * NOTES;
  const text = Math.min(plan.maxTokens, tokens * TEXT);
  const free = (tokens * AIM - text) / tokensPerCharacter(measured) - charactersAround(plan) - charactersOf(left);
  return Math.min(Math.max(free, tokens * NOTES), tokens * MOST_NOTES);
}

interface ToSumUp {
  readonly progress: Progress;
  readonly before: Summary;
  readonly removed: readonly KeptMessage[];
  /** What the conversation may have. */
  readonly tokens: number;
  /** What notes may have. */
  readonly characters: number;
  readonly name: string;
  readonly keeping?: Keeping;
  /** Whether sentences without room are set aside. Default: they are. */
  readonly setsAside?: boolean;
}

/**
 * Removed messages summed up: by the model, with notes of them and of those before for which there is room. The model also reads the notes for
 * which there is none any more, and what the user said of them is set aside. If it cannot write a summary, its one before stays, and the notes are kept in any case.
 */
export async function summaryOf(
  agent: Agent,
  at: At,
  { before, removed, characters, keeping = NOTES_BY_WORTH, setsAside = true, ...asked }: ToSumUp,
): Promise<{ readonly summary: string; readonly progress: Progress; readonly written: boolean }> {
  const notes = keeping.within([...before.notes, ...notesOf(removed, keeping)], characters);
  const kept = new Set(notes);
  const earlier = [before.text, ...before.notes.filter((note) => !kept.has(note))].filter((text) => text !== '');
  const { text, progress } = await writtenText(agent, at, { ...asked, removed, earlier: earlier.join('\n') });
  const said = [...before.aside, ...before.notes, ...notesOf(removed, WHOLE)];
  const aside = setsAside ? asideOf(said, notes) : before.aside;
  return { progress, written: text !== undefined, summary: summaryText({ text: text ?? before.text, notes, aside }) };
}

/** The model's own text, undefined if it cannot write one. */
async function writtenText(
  agent: Agent,
  at: At,
  {
    progress,
    earlier,
    removed,
    tokens,
    name,
  }: Pick<ToSumUp, 'progress' | 'removed' | 'tokens' | 'name'> & { readonly earlier: string },
): Promise<{ readonly text: string | undefined; readonly progress: Progress }> {
  const before = earlier === '' ? '' : `Before: ${earlier}\n`;
  const transcript = middleOut(`${before}${transcriptOf(removed)}`, tokens * TRANSCRIPT);
  const content = `${transcript}\n\n${SUMMARIZE}`;
  const question = {
    turn: progress.turns + 1,
    messages: [{ role: 'user', content }],
    final: true,
    nudge: undefined,
  } as const;
  try {
    const reply = await callModel(agent, { ...at, memo: at.memo.below(name) }, { ...question, name });
    const text = reply.text.trim();
    return { text: text === '' ? undefined : text, progress: spentBeside(progress, reply) };
  } catch (error) {
    if (error instanceof StageError && !concernsAll(error, at.host)) return { text: undefined, progress };
    throw error;
  }
}
