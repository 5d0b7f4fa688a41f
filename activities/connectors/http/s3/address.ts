/** An object of S3, or the beginning that the keys of objects have. */
export interface S3Address {
  readonly bucket: string;
  /** Without a slash at its start or end; empty for the whole bucket. */
  readonly key: string;
}

/** Where a bucket is served. */
export interface S3Place {
  readonly region: string;
  /** An origin that has buckets in paths. Absent: Amazon S3 of the region. */
  readonly url?: string | undefined;
}

const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
/** Printable ASCII: an address also travels as a header. */
const KEY = /^[\x21-\x7e]{0,1024}$/;

/** Reads `s3://bucket/key`. Undefined for anything else, and for a key with a segment "." or "..", which no URL can have. */
export function s3Address(text: unknown): S3Address | undefined {
  const [, bucket = '', path = ''] = /^s3:\/\/([^/]+)(?:\/(.*))?$/.exec(typeof text === 'string' ? text : '') ?? [];
  const key = path.replace(/\/+$/, '');
  if (!BUCKET.test(bucket) || bucket.includes('..') || !KEY.test(key) || key.startsWith('/')) return undefined;
  return key.split('/').some((segment) => segment === '.' || segment === '..') ? undefined : { bucket, key };
}

export const s3Uri = ({ bucket, key }: S3Address): string => `s3://${bucket}/${key}`;

/** Whether an object is below a beginning of keys. */
export const isBelow = ({ bucket, key }: S3Address, above: S3Address): boolean =>
  bucket === above.bucket && key !== '' && (above.key === '' || key.startsWith(`${above.key}/`));

/** The address of what is so named below a beginning of keys. */
export const below = ({ bucket, key }: S3Address, ...names: readonly string[]): S3Address => ({
  bucket,
  key: [...(key === '' ? [] : [key]), ...names].join('/'),
});

/** The URL of an object. */
export function s3Url({ bucket, key }: S3Address, { region, url }: S3Place): string {
  const path = key.split('/').map(encoded).join('/');
  if (url !== undefined) return `${url}/${bucket}/${path}`;
  const host = `s3.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`;
  // The certificate covers one label before the host.
  return bucket.includes('.') ? `https://${host}/${bucket}/${path}` : `https://${bucket}.${host}/${path}`;
}

const encoded = (segment: string): string =>
  encodeURIComponent(segment).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
