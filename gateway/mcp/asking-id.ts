/** A wait that a client has been asked to decide. */
export interface AskedWait {
  readonly run: string;
  readonly nonce: string;
  /** The client was shown another server's form: its answer is the form's content. */
  readonly isContent: boolean;
}

const FORM = /^(decide|answer):([a-z0-9-]{1,128}):([\x21-\x39\x3b-\x7e]{1,100})$/;

/**
 * Id of the request that asks a client to decide a wait. It says what the response is about: any gateway can take it,
 * also after the one that has asked is gone.
 */
export const askingId = ({ run, nonce, isContent }: AskedWait): string =>
  `${isContent ? 'answer' : 'decide'}:${run}:${nonce}`;

/** What a response with this id decides; undefined if this door has not given the id. */
export function askedBy(id: unknown): AskedWait | undefined {
  const [, what, run, nonce] = (typeof id === 'string' && FORM.exec(id)) || [];
  return run === undefined || nonce === undefined ? undefined : { run, nonce, isContent: what === 'answer' };
}
