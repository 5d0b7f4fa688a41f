import type { Check, Load } from '../attack.js';
import { foreignArtifact } from './artifacts.js';
import { packedAudio } from './audio.js';
import { batches } from './batches.js';
import { largeBodies } from './bodies.js';
import { tinyChunks } from './chunks.js';
import { storedSamples } from './conversions.js';
import { emptyElements } from './elements.js';
import { manyFollowers } from './followers.js';
import { callHeaders } from './headers.js';
import { foreignSession, foreignSignature } from './identities.js';
import { largeJson, readiness, spacedNumbers } from './json.js';
import { leavers } from './leavers.js';
import { hostilePatterns } from './patterns.js';
import { besideTheProxy } from './proxied.js';
import { passages, sessions } from './quotas.js';
import { replays } from './replays.js';
import { zeros } from './zeros.js';

/** Every attack that runs beside a bystander. */
export const LOADS: readonly Load[] = [
  ...emptyElements,
  hostilePatterns,
  ...zeros,
  ...largeBodies,
  leavers,
  ...tinyChunks,
  ...manyFollowers,
  replays,
  batches,
  sessions,
  packedAudio,
  storedSamples,
  callHeaders,
  largeJson,
  spacedNumbers,
  readiness,
];

/** Every attack of which only the answers are checked. */
export const CHECKS: readonly Check[] = [passages, besideTheProxy, foreignArtifact, foreignSignature, foreignSession];
