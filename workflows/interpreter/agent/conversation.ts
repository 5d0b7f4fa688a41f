import { type AgentPlan, resultRow } from '../../../pipelines/plan/index.js';
import type { Agent } from './candidate.js';
import { type KeptMessage, type Measured, sent } from './kept.js';

/** What is known of a conversation's model. */
interface Known {
  /** The model's context, as its server stated it. */
  readonly contextTokens?: number;
}

/** Characters of JSON per token where nothing has been measured: few, so that estimates are too high and not too low. */
const CHARACTERS = 3;
const LEAST_RATE = 1 / CHARACTERS;

/** Share of the context that a single result may take. */
const RESULT_SHARE = 1 / 4;

/** Tokens of a request: as measured where it has not changed, and from its length otherwise. */
export function tokensOfRequest(characters: number, measured: Measured | undefined): number {
  if (!measured || measured.characters === 0) return Math.ceil(characters * LEAST_RATE);
  const rate = measured.tokens / measured.characters;
  const added = characters - measured.characters;
  if (added <= 0) return Math.ceil(characters * rate);
  return Math.ceil(measured.tokens + added * Math.max(rate, LEAST_RATE));
}

/** Tokens of a character in such a request, as measured; more than are to be expected where nothing is. */
export const tokensPerCharacter = (measured: Measured | undefined): number =>
  measured && measured.characters > 0 ? measured.tokens / measured.characters : LEAST_RATE;

/** Length of what a request contains beside its messages: the same in every call of an agent but for the summary. */
export const charactersAround = ({ instructions = '', tools }: AgentPlan, summary = ''): number =>
  instructions.length +
  summary.length +
  tools.reduce((sum, { name, description, schema }) => sum + JSON.stringify({ name, description, schema }).length, 0);

export const charactersOf = (messages: readonly KeptMessage[]): number => JSON.stringify(sent(messages)).length;

/** The model's context in tokens, if anything states it: its server first, which knows. */
export const contextTokens = ({ plan, run, row }: Agent, { contextTokens: stated }: Known): number | undefined =>
  stated ?? plan.context?.tokens ?? run.context.placement[row]?.contextTokens;

/** Tokens that a prompt may have, so that the reply fits too. */
export const roomIn = (context: number, { maxTokens }: AgentPlan): number =>
  Math.max(context - maxTokens, Math.floor(context / 4));

/**
 * Maximum characters of a result in the conversation. Undefined where long results cannot be kept apart, as in plans of
 * earlier releases.
 */
export function resultCharacters(agent: Agent, progress: Known): number | undefined {
  const { plan, run, row } = agent;
  if (!plan.context || !run.context.placement[resultRow(row)]) return undefined;
  const context = contextTokens(agent, progress);
  const share = context === undefined ? Number.POSITIVE_INFINITY : Math.floor(context * RESULT_SHARE * CHARACTERS);
  return Math.min(plan.context.resultCharacters, share);
}
