import { z } from 'zod';
import { type Artifact, isArtifact } from './artifact.js';

declare const FORMAT: unique symbol;

/**
 * Declared format of audio: sample rate in Hz, channel count and file encoding. Two different declared values on one
 * edge are a compile error; values known only at run time are converted by the consumer.
 */
export interface AudioFormat {
  readonly rate?: number;
  readonly channels?: number;
  readonly encoding?: AudioEncoding;
}
/** `wav` holds PCM; decoding the others needs ffmpeg. */
export type AudioEncoding = 'wav' | 'mp3' | 'flac' | 'ogg' | 'webm' | 'mp4';

// biome-ignore lint/suspicious/noExplicitAny: what is unknown fits whatever it meets, both ways
type Known<Format, Key extends keyof AudioFormat> = Format extends { readonly [K in Key]: infer Value } ? Value : any;

/** Audio on an edge, by reference. */
export type Audio<Format extends AudioFormat = AudioFormat> = Artifact & {
  readonly [FORMAT]?: {
    readonly rate: Known<Format, 'rate'>;
    readonly channels: Known<Format, 'channels'>;
    readonly encoding: Known<Format, 'encoding'>;
  };
};

/** Containers that hold audio as well as video: which of the two a file was stored as says nothing about its tracks. */
const CONTAINER = /^(?:audio|video)\/(?:mp4|webm)$/;
const isMedia = (value: unknown, kind: 'audio' | 'image' | 'video'): boolean =>
  isArtifact(value) && (value.mime.startsWith(`${kind}/`) || (kind !== 'image' && CONTAINER.test(value.mime)));

/** Schema of an audio value. Over HTTP the caller may send the file itself; inside a run it is an artifact. */
export const audio = <const Format extends AudioFormat = AudioFormat>(
  format?: Format,
): z.ZodType<Audio<Format>, Audio<Format>> =>
  z
    .custom<Audio<Format>>((value) => isMedia(value, 'audio'), 'not an audio artifact')
    .meta({ media: 'audio', description: 'Audio by reference', ...format });

/** An image on an edge, by reference. */
export type Image = Artifact & { readonly [FORMAT]?: 'image' };

/** Schema of an image: PNG, JPEG, WebP or GIF. */
export const image = (): z.ZodType<Image, Image> =>
  z
    .custom<Image>((value) => isMedia(value, 'image'), 'not an image artifact')
    .meta({ media: 'image', description: 'An image by reference' });

/** A video on an edge, by reference. */
export type Video = Artifact & { readonly [FORMAT]?: 'video' };

/** Schema of a video: MP4 (also QuickTime), WebM, Matroska or AVI. */
export const video = (): z.ZodType<Video, Video> =>
  z
    .custom<Video>((value) => isMedia(value, 'video'), 'not a video artifact')
    .meta({ media: 'video', description: 'A video by reference' });

/** A file of any type on an edge, by reference: a document, or media whose kind does not matter. */
export type MediaFile = Artifact;

/**
 * Schema of a file of any type. Its media type is detected from its first bytes: that of audio, images and video,
 * `application/pdf`, `application/zip` (also office documents), `text/plain` for UTF-8, else `application/octet-stream`.
 * `types`: only these.
 */
export const file = (options: { readonly types?: readonly string[] } = {}): z.ZodType<MediaFile, MediaFile> => {
  const { types } = options;
  const fits = (value: unknown) => isArtifact(value) && (types === undefined || types.includes(value.mime));
  return z
    .custom<MediaFile>(fits, types === undefined ? 'not an artifact' : `not an artifact of ${types.join(' or ')}`)
    .meta({ media: 'file', description: 'A file by reference', ...(types && { types: [...types] }) });
};

/** Tensor element types of the KServe v2 protocol, and Triton’s `BF16`. */
export const DTYPES = [
  'BOOL',
  'UINT8',
  'UINT16',
  'UINT32',
  'UINT64',
  'INT8',
  'INT16',
  'INT32',
  'INT64',
  'FP16',
  'FP32',
  'FP64',
  'BF16',
  'BYTES',
] as const;
/** An element type of tensors. */
export type Dtype = (typeof DTYPES)[number];

/** Whether elements of the type may be fractions. */
export const isFloat = (dtype: string): boolean => /^(FP|BF)\d/.test(dtype);

/**
 * A small tensor by value, row-major. `BOOL` elements are booleans, `BYTES` texts (UTF-8), all others numbers; 64-bit
 * integers beyond 2^53 are decimal texts.
 */
export interface Tensor<D extends Dtype = Dtype, Shape extends readonly number[] = readonly number[]> {
  readonly dtype: D;
  readonly shape: readonly number[];
  readonly data: readonly (number | string | boolean)[];
  /** Type only: the known shape, -1 for a variable dimension. */
  readonly [FORMAT]?: Shape;
}

/** `npy`: NumPy's format, except for types that it lacks. `raw`: row-major and little-endian, as in the protocol. */
export type TensorFileFormat = 'npy' | 'raw';

/** A tensor of any size by reference: its elements are a file, NumPy's or raw. */
export interface TensorFile<D extends Dtype = Dtype, Shape extends readonly number[] = readonly number[]> {
  readonly dtype: D;
  readonly shape: readonly number[];
  readonly file: Artifact;
  /** Type only: the known shape, -1 for a variable dimension. */
  readonly [FORMAT]?: Shape;
}

interface TensorFormat<D, Shape> {
  readonly dtype: D;
  readonly shape: Shape;
}

/**
 * Schema of a tensor. `shape`: its dimensions, -1 for a variable one. With `file` it is passed by reference, whatever its
 * size; without, by value, up to 100,000 elements. Values are checked against dtype and shape.
 */
export function tensor<const D extends Dtype, const Shape extends readonly number[]>(
  format: TensorFormat<D, Shape> & { readonly file: TensorFileFormat },
): z.ZodType<TensorFile<D, Shape>>;
export function tensor<const D extends Dtype, const Shape extends readonly number[]>(
  format: TensorFormat<D, Shape>,
): z.ZodType<Tensor<D, Shape>>;
export function tensor(
  format: TensorFormat<Dtype, readonly number[]> & { readonly file?: TensorFileFormat },
): z.ZodType<Tensor | TensorFile> {
  const { dtype, shape, file } = format;
  if (file !== undefined) {
    return z
      .custom<TensorFile>((value) => isFileOf(value, format), `not a file of a ${dtype} tensor of shape [${shape}]`)
      .meta({ tensorFile: { dtype, shape: [...shape], file }, description: `A file of a ${dtype} tensor` });
  }
  return z
    .custom<Tensor>((value) => fits(value, format), `not a ${dtype} tensor of shape [${shape}]`)
    .meta({ tensor: { dtype, shape: [...shape] }, description: `A ${dtype} tensor` });
}

/** Schema of JSON that fits `schema`: the schema itself, named for the edge that it describes. */
export const json = <T>(schema: z.ZodType<T>): z.ZodType<T> => schema;

export const MEDIA_KINDS = ['audio', 'image', 'video', 'file'] as const;
export type MediaKind = (typeof MEDIA_KINDS)[number];

export const isMediaKind = (value: unknown): value is MediaKind => (MEDIA_KINDS as readonly unknown[]).includes(value);

/** The kind of media that a schema requires, if any. */
export function mediaOf(schema: z.ZodType): MediaKind | undefined {
  const media = bare(schema).meta()?.media;
  return isMediaKind(media) ? media : undefined;
}

/** The schema without optional, nullable and default wrappers. */
export function bare(schema: z.ZodType): z.ZodType {
  const wrapped = schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodNullable;
  return wrapped ? bare(schema.unwrap() as z.ZodType) : schema;
}

/** Maximum elements of a tensor by value: media and embeddings of whole documents belong in artifacts. */
const MOST_ELEMENTS = 100_000;

function fits(value: unknown, format: { dtype: Dtype; shape: readonly number[] }): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { dtype, shape, data } = value as Partial<Tensor>;
  if (dtype !== format.dtype || !Array.isArray(data) || data.length > MOST_ELEMENTS) return false;
  if (!hasShape(shape, format.shape)) return false;
  if (data.length !== shape.reduce((product: number, size: number) => product * size, 1)) return false;
  return data.every((element) => isElement(element, dtype));
}

function isFileOf(value: unknown, format: { dtype: Dtype; shape: readonly number[] }): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { dtype, shape, file } = value as Partial<TensorFile>;
  return dtype === format.dtype && hasShape(shape, format.shape) && isArtifact(file);
}

const hasShape = (shape: unknown, wanted: readonly number[]): shape is number[] =>
  Array.isArray(shape) &&
  shape.length === wanted.length &&
  shape.every((size, i) => Number.isSafeInteger(size) && size >= 0 && [-1, size].includes(wanted[i] as number));

function isElement(element: unknown, dtype: Dtype): boolean {
  if (dtype === 'BOOL') return typeof element === 'boolean';
  if (dtype === 'BYTES') return typeof element === 'string';
  if (dtype.endsWith('INT64') && typeof element === 'string') return /^-?\d+$/.test(element);
  if (typeof element !== 'number' || !Number.isFinite(element)) return false;
  return isFloat(dtype) || Number.isInteger(element);
}
