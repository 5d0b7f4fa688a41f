import type { Artifact } from '../../../pipelines/artifact.js';
import type { JsonObject } from '../../../pipelines/json.js';
import type { ContentPart } from '../../../pipelines/stages/index.js';
import { cannotEmbed, embeddedKind, type Listed, listedIn } from '../embedded-items.js';
import { type MediaContext, MOST_FILE_BYTES, MOST_MEDIA, type OpenAiPart, openAiParts } from './content-parts.js';
import { conversationOf, type Frame } from './embed-conversation.js';
import type { OpenAiOptions, ServerSoftware } from './options.js';

/*
 * How texts, tokens and media become requests of `POST /v1/embeddings`, whose `input` has texts and tokens only. Servers that
 * embed media have one of these extensions:
 * - `messages`: one conversation for each vector, with the parts of chats (vLLM, docs.vllm.ai: Pooling models, Embeddings API)
 * - `objects`: `{ "text": … }`, `{ "image": … }`: base64 without a prefix (api.jina.ai/openapi.json; SGLang)
 * - `modality`: data URLs of one kind for each request, which `modality` states (github.com/michaelfeil/infinity)
 */

type Text = { readonly text: string };
type Tokens = { readonly tokens: readonly number[] };
type Medium = { readonly kind: 'image' | 'audio' | 'video'; readonly artifact: Artifact; readonly field: string };
type Item = Text | Tokens | Medium;

/** One request, with the positions of its vectors in the list of the call. */
export interface EmbedRequest {
  readonly at: readonly number[];
  /** What is embedded, as members of the request; media are read only now. */
  readonly members: (context: MediaContext) => Promise<JsonObject>;
}

/** What a call is to embed. `prefix` goes before each text. */
export function itemsOf(
  input: JsonObject,
  prefix: string,
): { readonly items: readonly Item[]; readonly single: boolean } {
  if (Array.isArray(input.tokens)) {
    return { items: (input.tokens as number[][]).map((tokens) => ({ tokens })), single: false };
  }
  const listed = listedIn(input);
  const all = listed ?? [{ item: input, field: '' }];
  return { items: all.map((each) => itemOf(each, prefix)), single: listed === undefined };
}

function itemOf({ item, field }: Listed, prefix: string): Item {
  const kind = embeddedKind(item);
  if (kind === undefined || kind === 'text') return { text: `${prefix}${String(item.text ?? '')}` };
  return { kind, artifact: item[kind] as unknown as Artifact, field: field === '' ? kind : `${field}.${kind}` };
}

/** How a pool's server takes items, and how many at once. */
export interface Taking extends Pick<OpenAiOptions, 'embedBy' | 'batch'> {
  readonly software: ServerSoftware;
  readonly frame: Frame;
}

/** The requests of a list, in which each item is once. Throws `CAPABILITY_MISSING` for media that the server does not take. */
export function requestsOf(items: readonly Item[], { embedBy, batch, software, frame }: Taking): EmbedRequest[] {
  const groups = new Map<string, { readonly form: Form; readonly placed: Placed[] }>();
  for (const [at, item] of items.entries()) {
    const form = formOf(item, embedBy, software);
    const id = form === 'modality' ? `modality ${(item as Medium).kind}` : form;
    const group = groups.get(id) ?? { form, placed: [] };
    groups.set(id, group);
    group.placed.push({ at, item });
  }
  return [...groups.values()].flatMap(({ form, placed }) =>
    batches(placed, mostOf(form, batch)).map((some) => ({
      at: some.map(({ at }) => at),
      members: (context: MediaContext) =>
        MEMBERS[form](
          some.map(({ item }) => item),
          context,
          frame,
        ),
    })),
  );
}

type Form = 'input' | NonNullable<OpenAiOptions['embedBy']>;

interface Placed {
  readonly at: number;
  readonly item: Item;
}

function formOf(item: Item, embedBy: OpenAiOptions['embedBy'], software: ServerSoftware): Form {
  if ('tokens' in item) return 'input';
  if ('text' in item) return embedBy === undefined || embedBy === 'modality' ? 'input' : embedBy;
  // Its class of inputs has no such member and drops it: the vector would be that of the word "padding".
  if (embedBy === 'objects' && software === 'sglang' && item.kind === 'audio') {
    throw cannotEmbed(item.field, 'SGLang embeds texts, images and videos, and no audio');
  }
  if (embedBy !== undefined) return embedBy;
  const message = `the pool does not say how its server takes a ${item.kind}: set options.embedBy to messages (vLLM), objects (Jina, SGLang) or modality (Infinity)`;
  throw cannotEmbed(item.field, message);
}

/** Most items of one request. */
const mostOf = (form: Form, batch: number): number =>
  form === 'messages' ? 1 : form === 'input' ? batch : Math.min(batch, MOST_MEDIA);

/** Batches of at most `most` items, whose files have at most as many bytes as one may have. */
function batches(all: readonly Placed[], most: number): Placed[][] {
  const made: Placed[][] = [];
  let bytes = 0;
  for (const each of all) {
    const own = 'artifact' in each.item ? each.item.artifact.bytes : 0;
    const last = made.at(-1);
    if (last && last.length < most && bytes + own <= MOST_FILE_BYTES) {
      last.push(each);
      bytes += own;
    } else {
      made.push([each]);
      bytes = own;
    }
  }
  return made;
}

type MembersOf = (items: readonly Item[], context: MediaContext, frame: Frame) => Promise<JsonObject>;

const MEMBERS: Readonly<Record<Form, MembersOf>> = {
  /** A single item is sent as such: not every server takes lists. */
  async input(items) {
    const all = items.map((item) => ('tokens' in item ? item.tokens : (item as Text).text));
    return { input: all.length === 1 ? all[0] : all } as unknown as JsonObject;
  },
  async messages(items, context, frame) {
    const content = await openAiParts(
      items.map((item) => ({ part: partOf(item), field: fieldOf(item) })),
      context,
    );
    return conversationOf(content, frame);
  },
  async objects(items, context) {
    const media = await bareMedia(items, context);
    const input = items.map((item, i) => {
      const { kind, data } = media[i] ?? {};
      return kind === undefined ? { text: (item as Text).text } : { [kind]: data };
    });
    return { input } as unknown as JsonObject;
  },
  async modality(items, context) {
    const media = await bareMedia(items, context);
    const [first] = items as readonly Medium[];
    const input = media.map((medium) => `data:${medium?.mime};base64,${medium?.data}`);
    return { input, modality: first?.kind ?? 'text' };
  },
};

const fieldOf = (item: Item): string => ('field' in item ? item.field : '');

const partOf = (item: Item): ContentPart =>
  'kind' in item
    ? ({ type: item.kind, [item.kind]: item.artifact } as unknown as ContentPart)
    : { type: 'text', text: (item as Text).text };

/** The media of items by value; undefined for texts. */
async function bareMedia(items: readonly Item[], context: MediaContext): Promise<(BareMedium | undefined)[]> {
  const parts = await openAiParts(
    items.map((item) => ({ part: partOf(item), field: fieldOf(item) })),
    context,
  );
  return parts.map(bareOf);
}

/** A file in base64. */
interface BareMedium {
  readonly kind: Medium['kind'];
  readonly mime: string;
  readonly data: string;
}

function bareOf(part: OpenAiPart): BareMedium | undefined {
  switch (part.type) {
    case 'image_url':
      return { kind: 'image', ...inUrl(part.image_url.url) };
    case 'video_url':
      return { kind: 'video', ...inUrl(part.video_url.url) };
    case 'input_audio': {
      const { data, format } = part.input_audio;
      return { kind: 'audio', mime: format === 'mp3' ? 'audio/mpeg' : 'audio/wav', data };
    }
    default:
      return undefined;
  }
}

/** Type and bytes of a data URL in base64. */
function inUrl(url: string): Pick<BareMedium, 'mime' | 'data'> {
  const at = url.indexOf(',');
  return { mime: url.slice('data:'.length, at - ';base64'.length), data: url.slice(at + 1) };
}
