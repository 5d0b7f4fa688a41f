import type { OpenAI } from 'openai';
import type { TokenLogprob } from '../../pipelines/stages/index.js';

/** The field of a pipeline's input and output. */
export const LOGPROBS = 'logprobs';

/** Probabilities of tokens in OpenAI's form. */
export const logprobsBody = (tokens: readonly TokenLogprob[]): OpenAI.ChatCompletion.Choice.Logprobs => ({
  content: tokens.map(({ top, ...token }) => ({ ...tokenBody(token), top_logprobs: top.map(tokenBody) })),
  refusal: null,
});

const tokenBody = ({ token, logprob }: Pick<TokenLogprob, 'token' | 'logprob'>) => ({
  token,
  logprob,
  // The bytes of a part of a character are not known from its text.
  bytes: token.includes('\uFFFD') ? null : [...Buffer.from(token)],
});
