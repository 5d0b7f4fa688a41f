import { describe, expect, it } from 'vitest';
import { MillraceError, openapiTool } from '../../../pipelines/index.js';
import type { StageTool } from '../../../pipelines/plan/index.js';

const document = {
  openapi: '3.0.3',
  info: { title: 'Weather', version: '1' },
  paths: {
    '/forecast/{city}': {
      parameters: [{ $ref: '#/components/parameters/City' }],
      get: {
        operationId: 'getForecast',
        summary: 'The weather to come',
        description: 'By day',
        parameters: [
          { name: 'days', in: 'query', schema: { type: 'integer', minimum: 0, exclusiveMinimum: true } },
          { name: 'X-Trace', in: 'header', schema: { type: 'string' } },
        ],
        responses: {},
      },
      post: {
        summary: 'Corrects a forecast',
        requestBody: {
          required: true,
          content: { 'application/json': { schema: { $ref: '#/components/schemas/Fix' } } },
        },
      },
      put: {
        operationId: 'replace.forecast',
        summary: 'Replaces it',
        requestBody: { content: { 'application/json': { schema: { type: 'array', items: { type: 'number' } } } } },
      },
      delete: {
        operationId: 'secured',
        summary: 'x',
        parameters: [{ name: 'Authorization', in: 'header', required: true, schema: { type: 'string' } }],
      },
    },
    '/search': {
      get: {
        operationId: 'search',
        summary: 'x',
        parameters: [
          { name: 'tags', in: 'query', schema: { type: 'array', items: { type: 'string' } } },
          { name: 'ids', in: 'query', explode: false, schema: { type: 'array', items: { type: 'integer' } } },
          { name: 'lang', in: 'query', style: 'deepObject', schema: { type: 'string', nullable: true } },
          { name: 'where', in: 'query', style: 'deepObject', schema: { type: 'object' } },
          { name: 'piped', in: 'query', style: 'pipeDelimited', schema: { type: 'array', items: { type: 'string' } } },
          { name: 'json', in: 'query', content: { 'application/json': { schema: { type: 'string' } } } },
        ],
      },
    },
    '/filter': {
      get: {
        operationId: 'filter',
        summary: 'x',
        parameters: [{ name: 'where', in: 'query', required: true, schema: { anyOf: [{ type: 'object' }] } }],
      },
    },
    '/piped': {
      get: {
        operationId: 'piped',
        summary: 'x',
        parameters: [{ name: 'p', in: 'query', required: true, style: 'pipeDelimited', schema: { type: 'array' } }],
      },
    },
    '/many/{ids}': {
      get: {
        operationId: 'many',
        summary: 'x',
        parameters: [{ name: 'ids', in: 'path', required: true, schema: { type: 'array' } }],
      },
    },
    '/matrix{id}': {
      get: {
        operationId: 'matrix',
        summary: 'x',
        parameters: [{ name: 'id', in: 'path', required: true, style: 'matrix', schema: { type: 'string' } }],
      },
    },
    '/upload': {
      post: { operationId: 'upload', summary: 'x', requestBody: { required: true, content: { 'image/png': {} } } },
    },
    '/loop': {
      post: {
        operationId: 'loop',
        summary: 'x',
        requestBody: {
          required: true,
          content: { 'application/json': { schema: { $ref: '#/components/schemas/Tree' } } },
        },
      },
    },
    '/far': { get: { operationId: 'far', summary: 'x', parameters: [{ $ref: 'other.json#/p' }] } },
  },
  components: {
    parameters: {
      City: { name: 'city', in: 'path', required: true, description: 'Its name', schema: { type: 'string' } },
    },
    schemas: {
      Fix: {
        type: 'object',
        required: ['celsius'],
        properties: { celsius: { type: 'number', example: 3 }, note: { type: 'string', nullable: true } },
      },
      Tree: { type: 'object', properties: { below: { $ref: '#/components/schemas/Tree' } } },
    },
  },
} as const;

const of = (operation: string) => openapiTool({ document, operation, service: 'weather-api' }).plan as StageTool;

describe('an operation of an OpenAPI document', () => {
  it('is a tool: parameters are arguments, in their places', () => {
    expect(of('getForecast')).toMatchObject({
      name: 'getForecast',
      description: 'The weather to come. By day',
      kind: 'http',
      model: 'weather-api',
      with: { method: 'GET', path: '/forecast/{city}' },
      places: { path: ['city'], query: ['days'] },
      result: 'body',
      schema: {
        type: 'object',
        properties: {
          city: { type: 'string', description: 'Its name' },
          days: { type: 'integer', exclusiveMinimum: 0 },
        },
        required: ['city'],
      },
    });
    expect(of('getForecast').schema.properties).not.toHaveProperty('X-Trace');
  });

  it('has the fields of its body among its arguments, and is called once where it writes', () => {
    const plan = of('POST /forecast/{city}');
    expect(plan).toMatchObject({
      name: 'POST_forecast_city',
      places: { path: ['city'], query: [], body: { rest: true } },
      policy: { retry: { attempts: 1 } },
      schema: {
        properties: {
          city: { type: 'string' },
          celsius: { type: 'number' },
          note: { anyOf: [{ type: 'string' }, { type: 'null' }] },
        },
        required: ['city', 'celsius'],
      },
    });
  });

  it('has a body that is no object, or may be left out, as one argument', () => {
    expect(of('replace.forecast')).toMatchObject({
      name: 'replace_forecast',
      places: { body: { of: 'body' } },
      schema: { properties: { body: { type: 'array' } }, required: ['city'] },
    });
  });

  it('has lists in its query, and leaves out what it need not send and cannot', () => {
    const plan = of('search');
    expect(plan.places).toEqual({ path: [], query: ['tags', 'ids', 'lang'] });
    expect(plan.with).toEqual({ method: 'GET', path: '/search', commas: ['ids'] });
    expect(Object.keys(plan.schema.properties as object)).toEqual(['tags', 'ids', 'lang']);
  });

  it.each([
    ['nobody', /not an operation of the document \(operations: getForecast, POST/],
    ['secured', /"Authorization" in the header/],
    ['upload', /takes image\/png, not JSON/],
    ['loop', /recursive schema/],
    ['filter', /requires "where" in the query, which is an object/],
    ['piped', /requires "p" in the query, which has the style pipeDelimited/],
    ['many', /requires "ids" in the path, which is a list/],
    ['matrix', /requires "id" in the path, which has the style matrix/],
    ['far', /outside the document/],
  ])('%s is refused', (operation, text) => {
    const act = () => of(operation);
    expect(act).toThrow(MillraceError);
    expect(act).toThrow(text);
    expect(act).toThrow(expect.objectContaining({ code: 'INVALID_PIPELINE' }));
  });
});
