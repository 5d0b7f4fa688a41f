import { ProtocolError, ProtocolErrorCode } from '@modelcontextprotocol/server';
import { z } from 'zod';
import { END, isPosition } from '../../runs/follow.js';

/**
 * Where a call goes on that has asked its client's user. The client holds it: it grants nothing, since the run that it
 * names is looked up as the caller's own.
 */
export interface RequestState {
  readonly run: string;
  /** Position in the run's events. */
  readonly after: string;
}

const state = z.strictObject({
  run: z.string().min(1).max(256),
  after: z.string().refine((given) => isPosition(given) && given !== END),
});

/** Longest state that is parsed. */
const LONGEST = 1_024;

export const sealed = (given: RequestState): string => Buffer.from(JSON.stringify(given)).toString('base64url');

/** Throws the protocol's error for a state that this door has not given. */
export function unsealed(text: string): RequestState {
  try {
    if (text.length > LONGEST) throw new Error('too long');
    const given = Buffer.from(text, 'base64url');
    if (given.toString('base64url') !== text) throw new Error('not canonical');
    return state.parse(JSON.parse(given.toString()));
  } catch {
    throw new ProtocolError(ProtocolErrorCode.InvalidParams, 'requestState is not one that this server has given');
  }
}
