import { withoutSlash } from '../../runtime/without-slash.js';

/** Scheme and authority of an endpoint's address: `https://gpu1:8000`, `gpu1:8001`. */
const ORIGIN = /^([a-z][a-z0-9+.-]*:\/\/)?[^/]*/;
const PORT = /:\d+$/;
/** gRPC's port over TLS where an address has none. */
const GRPCS_PORT = 443;

/**
 * One spelling for every spelling of an endpoint's address, so that pools at one server are known to be there: scheme and
 * host in lower case, HTTP without its default port, gRPC over TLS with one, no slash at the end.
 */
export function serverAddress(url: string): string {
  const [origin = '', scheme = ''] = ORIGIN.exec(url.toLowerCase()) ?? [];
  const path = withoutSlash(url.slice(origin.length));
  if (/^https?:/.test(scheme)) {
    const whole = `${origin}${path}`;
    return URL.canParse(whole) ? withoutSlash(new URL(whole).href) : whole;
  }
  const lacksPort = scheme === 'grpcs://' && path === '' && !PORT.test(origin);
  return lacksPort ? `${origin}:${GRPCS_PORT}` : `${origin}${path}`;
}
