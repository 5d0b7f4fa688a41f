import { createHash, createHmac } from 'node:crypto';
import type { Authorizer } from './authorizer.js';

/**
 * Signs requests with a service's token instead of sending it, as the vendor's client does:
 * https://github.com/pai-eas/eas-python-sdk, eas_prediction/predict_client.py.
 */
export const easAuthorizer = (token: string, now: () => number = Date.now): Authorizer => ({
  async headers({ method, url, headers, body }) {
    const date = new Date(now()).toUTCString();
    const md5 = createHash('md5').update(body).digest('hex');
    const type = headers['content-type'] ?? 'application/octet-stream';
    const toSign = [method, md5, type, date, url.pathname].join('\n');
    const signature = createHmac('sha1', token).update(toSign).digest('base64');
    return { 'content-md5': md5, 'content-type': type, date, authorization: `EAS ${signature}` };
  },
  again: () => false,
  secrets: () => [token],
});
