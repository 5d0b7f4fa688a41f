export { importProfiles, PROFILE_FORMATS, type ProfileFormat } from './profiles.js';
export { TRACE_FORMATS, type TraceFormat } from './trace-formats.js';
export { importTrace } from './traces.js';
