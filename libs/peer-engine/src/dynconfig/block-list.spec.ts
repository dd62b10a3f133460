import { blockedBy, EMPTY_BLOCK_LIST, parseBlockList } from './block-list.js';

const LIST = JSON.stringify({
  load_limit: 200,
  block_list: {
    task: { download: { applications: ['app'], urls: ['^http://bad/', '('], tags: ['tag'], priorities: [1, 2] } },
    persistent_task: null,
  },
});
const SUBJECT = { url: 'http://good/file', application: undefined, tag: undefined, priority: 6 };

describe('the block list', () => {
  it.each([
    [{}, undefined],
    [{ application: 'app' }, 'application app'],
    [{ tag: 'tag' }, 'tag tag'],
    [{ priority: 2 }, 'priority 2'],
    [{ url: 'http://bad/file' }, 'URL pattern ^http:\\/\\/bad\\/'],
  ])('judges %j', (fields, reason) => {
    const list = parseBlockList(LIST, () => {});
    expect(blockedBy(list, { ...SUBJECT, ...fields })).toBe(reason);
  });

  it('tells of a pattern that is none and applies the rest', () => {
    const problems: string[] = [];
    expect(parseBlockList(LIST, (problem) => problems.push(problem)).urls).toHaveLength(1);
    expect(problems).toEqual(['block list: "(" is not a regular expression']);
  });

  it.each(['', '{}', '{"block_list":null}', '{"block_list":{"task":{"download":{"urls":null}}}}', 'no json'])(
    'that says nothing (%s) blocks nothing',
    (json) => {
      expect(parseBlockList(json, () => {})).toEqual(EMPTY_BLOCK_LIST);
    },
  );
});
