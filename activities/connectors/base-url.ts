import { MillraceError, messageOf } from '../../pipelines/errors.js';
import { withoutSlash } from '../../runtime/without-slash.js';

/**
 * An endpoint as a base URL without a trailing `/`. Throws `INVALID_SETTING` for anything else: paths are appended to
 * it, so it must have no query, and no credentials, which would end up in logs.
 */
export function baseUrl(endpoint: string, connector: string): string {
  const url = parsed(endpoint, connector);
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw invalid(connector, `${url.protocol} is not http(s):`);
  if (url.username !== '' || url.password !== '') throw invalid(connector, `the URL of ${url.host} holds credentials`);
  if (url.search !== '' || url.hash !== '') throw invalid(connector, `${endpoint} has a query or a fragment`);
  return withoutSlash(`${url.origin}${url.pathname}`);
}

function parsed(endpoint: string, connector: string): URL {
  try {
    return new URL(endpoint);
  } catch (error) {
    throw invalid(connector, `${endpoint} is not a URL: ${messageOf(error)}`);
  }
}

function invalid(connector: string, problem: string): MillraceError {
  const message = `an endpoint of ${connector} is a base URL: ${problem}`;
  return new MillraceError('INVALID_SETTING', `models: ${message}`, { fields: [{ field: 'url', message }] });
}
