import { describe, expect, it } from '@jest/globals';
import { createHostRules } from '../../src/shared/bitrix24/rest/host-rules.js';
import { isPublicAddress } from '../../src/shared/bitrix24/rest/outbound.js';
import { parseHostEntry, type HostEntry } from '../../src/shared/host-entry.js';

function entries(...texts: string[]): HostEntry[] {
  return texts.map((text) => {
    const entry = parseHostEntry(text);
    if (!entry) throw new Error(text);
    return entry;
  });
}

const known = createHostRules({ portalHosts: [], oauthHosts: [] });

describe('the address of a portal', () => {
  it.each([
    ['https://acme.bitrix24.com/rest/', 'https://acme.bitrix24.com/rest/'],
    ['https://b24-x1y2.bitrix24.com.br/rest', 'https://b24-x1y2.bitrix24.com.br/rest/'],
    ['HTTPS://Acme.Bitrix24.DE:443/rest/', 'https://acme.bitrix24.de/rest/'],
  ])('is taken in a zone of the cloud: %s', (text, href) => {
    expect(known.portalEndpoint(text)?.href).toBe(href);
  });

  it.each([
    null,
    '',
    'acme.bitrix24.com',
    'http://acme.bitrix24.com/rest/',
    'https://acme.bitrix24.com:8443/rest/',
    'https://acme.bitrix24.com/',
    'https://acme.bitrix24.com/rest/1/token/',
    'https://acme.bitrix24.com/rest/?a=1',
    'https://acme.bitrix24.com/rest/?',
    'https://acme.bitrix24.com/rest/#',
    'https://acme.bitrix24.com/x/../rest/',
    'https://acme.bitrix24.com/rest/\n',
    ' https://acme.bitrix24.com/rest/',
    'https://user:pass@acme.bitrix24.com/rest/',
    'https://@acme.bitrix24.com/rest/',
    'https://acme.bitrix24.com@evil.org/rest/',
    'https://evil.org\\@acme.bitrix24.com/rest/',
    'https://acme.bitrix24.com\\.evil.org/rest/',
    'https://acme.bitrix24.com.evil.org/rest/',
    'https://acme.bitrix24.com./rest/',
    'https://a.b.bitrix24.com/rest/',
    'https://bitrix24.com/rest/',
    'https://.bitrix24.com/rest/',
    'https://-a.bitrix24.com/rest/',
    'https://acme.bitrix24.site/rest/',
    'https://acme.bitrix24.evil/rest/',
    'https://acmebitrix24.com/rest/',
    'https://acme.bitrix24xcom/rest/',
    'https://acme.bítrix24.com/rest/',
    'https://acme.bitrix24。com/rest/',
    'https://%61cme.bitrix24.com/rest/',
    'https://127.0.0.1/rest/',
    'https://[::1]/rest/',
    'https://2130706433/rest/',
    'ftp://acme.bitrix24.com/rest/',
    `https://${'a'.repeat(64)}.bitrix24.com/rest/`,
  ])('is refused: %j', (text) => {
    expect(known.portalEndpoint(text)).toBeUndefined();
  });

  it('is taken for a listed host, with the port and the scheme of its entry alone', () => {
    const rules = createHostRules({
      portalHosts: entries('box.example.org', 'http://intra.example.org', 'ported.example.org:8443', '[fd00::7]:80'),
      oauthHosts: [],
    });
    const taken = [
      'https://box.example.org/rest/',
      'http://intra.example.org/rest/',
      'https://intra.example.org/rest/',
      'https://ported.example.org:8443/rest/',
    ];
    const refused = [
      'http://box.example.org/rest/',
      'https://box.example.org:8443/rest/',
      'https://box.example.org./rest/',
      'https://sub.box.example.org/rest/',
      'https://ported.example.org/rest/',
      'http://ported.example.org:8443/rest/',
    ];
    expect(taken.filter((text) => !rules.portalEndpoint(text))).toEqual([]);
    expect(refused.filter((text) => rules.portalEndpoint(text))).toEqual([]);
  });
});

describe('the OAuth server', () => {
  it('is the western one where none is named, or the first that the operator lists', () => {
    expect(known.oauthServer(null)?.href).toBe('https://oauth.bitrix.info/rest/');
    const rules = createHostRules({ portalHosts: [], oauthHosts: entries('127.0.0.1:9999', 'oauth.example.org') });
    expect(rules.oauthServer(null)?.href).toBe('http://127.0.0.1:9999/rest/');
    expect(rules.oauthServer('https://oauth.example.org/rest/')?.href).toBe('https://oauth.example.org/rest/');
  });

  it('is one of the two known ones and no other', () => {
    const texts = ['https://oauth.bitrix.info/rest/', 'https://oauth.bitrix24.tech/rest'];
    expect(texts.filter((text) => !known.oauthServer(text))).toEqual([]);
    const forged = [
      'http://oauth.bitrix.info/rest/',
      'https://oauth.bitrix24.info/rest/',
      'https://oauth.bitrix.info:444/rest/',
      'https://oauth.bitrix.info.evil.org/rest/',
      'https://oauth.bitrix.info@evil.org/rest/',
      'https://acme.bitrix24.com/rest/',
      '',
    ];
    expect(forged.filter((text) => known.oauthServer(text))).toEqual([]);
  });
});

describe('a private address', () => {
  it('is allowed for the listed hosts on their ports alone', () => {
    const rules = createHostRules({
      portalHosts: entries('box.example.org', '127.0.0.1:4000'),
      oauthHosts: entries('http://oauth.example.org'),
    });
    expect(rules.isPrivateAllowed('box.example.org', 443)).toBe(true);
    expect(rules.isPrivateAllowed('box.example.org', 80)).toBe(false);
    expect(rules.isPrivateAllowed('127.0.0.1', 4000)).toBe(true);
    expect(rules.isPrivateAllowed('127.0.0.1', 6379)).toBe(false);
    expect(rules.isPrivateAllowed('oauth.example.org', 80)).toBe(true);
    expect(rules.isPrivateAllowed('oauth.bitrix.info', 443)).toBe(false);
  });

  it.each([
    ['93.184.216.34', true],
    ['2606:4700::6810:84e5', true],
    ['127.0.0.1', false],
    ['0.0.0.0', false],
    ['10.1.2.3', false],
    ['172.16.0.1', false],
    ['192.168.1.1', false],
    ['100.64.0.1', false],
    ['169.254.169.254', false],
    ['224.0.0.1', false],
    ['255.255.255.255', false],
    ['198.18.0.1', false],
    ['::1', false],
    ['::', false],
    ['::ffff:127.0.0.1', false],
    ['::ffff:8.8.8.8', false],
    ['::7f00:1', false],
    ['64:ff9b::7f00:1', false],
    ['2002:7f00:1::', false],
    ['fe80::1%eth0', false],
    ['fec0::1', false],
    ['fd00:ec2::254', false],
    ['not an address', false],
  ])('is told from a public one: %s', (address, isPublic) => {
    expect(isPublicAddress(address)).toBe(isPublic);
  });
});
