/** Version of dfget; the one of package.json, which is not read at run time to keep the start short. */
export const VERSION = '0.1.0';
