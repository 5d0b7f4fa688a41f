import { describe, expect, it } from 'vitest';
import { authorizing } from '../../../../../activities/connectors/http/credentials/authorizer.js';
import { signAwsV4 } from '../../../../../activities/connectors/http/credentials/aws-v4.js';

const KEYS = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' };
const NO_HEADERS: Record<string, string> = {};

/** AWS' Signature Version 4 test suite: https://docs.aws.amazon.com/general/latest/gr/signature-v4-test-suite.html */
const SUITE = [
  ['get-vanilla', 'GET', '/', NO_HEADERS, '', '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31'],
  [
    'get-vanilla-query-order-key-case',
    'GET',
    '/?Param2=value2&Param1=value1',
    NO_HEADERS,
    '',
    'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
  ],
  [
    'get-vanilla-query-order-value',
    'GET',
    '/?Param1=value2&Param1=value1',
    NO_HEADERS,
    '',
    '5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694',
  ],
  [
    'get-vanilla-query-unreserved',
    'GET',
    '/?-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz=-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz',
    NO_HEADERS,
    '',
    '9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197',
  ],
  [
    'get-header-value-trim',
    'GET',
    '/',
    { 'My-Header1': ' value1', 'My-Header2': ' "a   b   c"' },
    '',
    'acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736',
  ],
  [
    'post-header-key-sort',
    'POST',
    '/',
    { 'My-Header1': 'value1' },
    '',
    'c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c',
  ],
  [
    'post-x-www-form-urlencoded',
    'POST',
    '/',
    { 'Content-Type': 'application/x-www-form-urlencoded' },
    'Param1=value1',
    'ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a',
  ],
] as const;

describe('AWS Signature Version 4', () => {
  it.each(SUITE)('%s of AWS’ test suite', (_, method, path, headers, body, signature) => {
    const url = new URL(path, 'https://example.amazonaws.com');
    const signed = signAwsV4(
      { method, url, headers, body: Buffer.from(body) },
      KEYS,
      { region: 'us-east-1', service: 'service' },
      Date.UTC(2015, 7, 30, 12, 36),
    );
    expect(signed['x-amz-date']).toBe('20150830T123600Z');
    expect(signed.authorization).toMatch(/^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/20150830\/us-east-1\/service\//);
    expect(signed.authorization).toContain(`Signature=${signature}`);
  });

  it.each([
    [
      'a session token and headers of SageMaker',
      'POST',
      'https://runtime.sagemaker.eu-central-1.amazonaws.com/endpoints/my-endpoint/invocations',
      { 'content-type': 'application/json', 'x-amzn-sagemaker-target-variant': 'blue' },
      '{"inputs":["Grüße"]}',
      'sagemaker',
      'session/token==',
      '64ac45c51b39267dc5ebb3be3ca08d33eb175525af6dec98f309d828587f6225',
    ],
    [
      'a path and a query with signs',
      'GET',
      'https://example.eu-central-1.amazonaws.com/a%20b/%C3%A9/x?name=a%20b&list=1&list=0',
      NO_HEADERS,
      '',
      'execute-api',
      undefined,
      'cddd1e3cdfc9b7d1f957031ffb9b0bbe73f95536f9f8f651b964e792cd33d0b6',
    ],
    [
      'a path of S3',
      'GET',
      'https://bucket.s3.eu-central-1.amazonaws.com/a%20b/%C3%A9/x',
      NO_HEADERS,
      '',
      's3',
      undefined,
      '3119aa0bd6ccc44a27f1007cc977706d628a03a3c5cfc9da896cdaf38b2f076a',
    ],
  ] as const)('%s, as botocore 1.44.8 signs it', (_, method, url, headers, body, service, sessionToken, signature) => {
    const signed = signAwsV4(
      { method, url: new URL(url), headers, body: Buffer.from(body) },
      { ...KEYS, sessionToken },
      { region: 'eu-central-1', service },
      Date.UTC(2026, 10, 26, 12),
    );
    expect(signed.authorization).toContain(`Signature=${signature}`);
  });
});

describe('an authorizer', () => {
  it('sees the bytes that are sent, those of a form with its boundary too, and is asked again once', async () => {
    const bodies: string[] = [];
    const send = authorizing({
      async headers({ body, headers }) {
        return { authorization: `${headers['content-type']?.slice(0, 19)} ${Buffer.from(body).toString().length}` };
      },
      again: () => true,
      secrets: () => [],
    })(async (_, init) => {
      const { headers, body } = init as { headers: Record<string, string>; body: Uint8Array };
      const text = Buffer.from(body).toString();
      bodies.push(text);
      expect(headers.authorization).toBe(`multipart/form-data ${text.length}`);
      expect(text).toContain(headers['content-type']?.split('boundary=')[1]);
      return new Response('', { status: 401 });
    });
    const body = new FormData();
    body.append('text', 'value');
    const response = await send('http://x/', { method: 'POST', body });
    expect(response.status).toBe(401);
    expect(bodies).toHaveLength(2);
    expect(bodies[0]).toBe(bodies[1]);
  });
});
