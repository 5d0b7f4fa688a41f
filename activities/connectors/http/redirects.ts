import { MillraceError } from '../../../pipelines/errors.js';
import { type Answer, bodyOf, type Exchange, opened, type Transport } from '../exchange.js';
import { hasUser } from './target.js';

/** A longer chain is a redirect loop. */
const MOST_REDIRECTS = 5;

/**
 * An answer, and with its body if its status is no success. A redirect is followed on the same origin only, and only if
 * it allows the same request to be repeated: any redirect of a GET, 307 and 308 of other methods. Throws as `exchange`.
 * @param origins those of the server. Default: that of the request
 */
export async function settled(
  transport: Transport,
  first: Exchange,
  signal: AbortSignal,
  origins: ReadonlySet<string> = new Set([new URL(first.url).origin]),
): Promise<{ readonly response: Response; readonly failed?: Answer }> {
  let sent = first;
  for (let redirects = 0; ; redirects++) {
    const response = await opened(transport, sent, signal);
    const { status, headers } = response;
    if (status >= 200 && status < 300) return { response };
    const failed = { status, headers, body: await bodyOf(response, signal) };
    const target = locationOf(failed, sent);
    if (target === undefined) return { response, failed };
    if (!origins.has(target.origin)) {
      throw rejected(`it redirects to ${target.origin}, another origin, which is not followed`);
    }
    if (hasUser(target)) throw rejected('it redirects to an address with a user in it');
    if (sent.method !== 'GET' && status !== 307 && status !== 308) {
      throw rejected(`it answers a ${sent.method} with the redirect ${status}, which is followed for GET only`);
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
