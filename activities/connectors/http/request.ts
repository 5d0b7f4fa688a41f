import { MillraceError } from '../../../pipelines/errors.js';
import { type Answer, type Exchange, exchange, type Transport } from '../exchange.js';
import { HttpFault, shortened } from '../http-fault.js';

/** A longer chain is a redirect loop. */
const MOST_REDIRECTS = 5;

/**
 * The answer of a successful call. A redirect is followed on the same origin only, and only if it allows the same
 * request to be repeated: any redirect of a GET, 307 and 308 of other methods. Throws `HttpFault` for a status from
 * 400, else as `exchange`.
 */
export async function request(transport: Transport, first: Exchange, signal: AbortSignal): Promise<Answer> {
  let sent = first;
  for (let redirects = 0; ; redirects++) {
    const answer = await exchange(transport, sent, signal);
    if (answer.status >= 200 && answer.status < 300) return answer;
    const target = locationOf(answer, sent);
    if (target === undefined) throw new HttpFault(answer, shortened(answer.body.toString('utf8').trim()));
    if (target.origin !== new URL(first.url).origin) {
      throw rejected(`it redirects to ${target.origin}, another origin, which is not followed`);
    }
    if (sent.method !== 'GET' && answer.status !== 307 && answer.status !== 308) {
      throw rejected(`it answers a ${sent.method} with the redirect ${answer.status}, which is followed for GET only`);
    }
    if (redirects === MOST_REDIRECTS) throw rejected(`it redirects more than ${MOST_REDIRECTS} times`);
    sent = { ...sent, url: target.href };
  }
}

function locationOf({ status, headers }: Answer, { url }: Exchange): URL | undefined {
  const location = [301, 302, 303, 307, 308].includes(status) ? headers.get('location') : null;
  if (location === null) return undefined;
  try {
    return new URL(location, url);
  } catch {
    throw rejected('it redirects to an invalid URL');
  }
}

const rejected = (message: string): MillraceError => new MillraceError('BACKEND_REJECTED', message);
