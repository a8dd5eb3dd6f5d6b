#!/usr/bin/env python3
"""Writes the seeds. They are real messages, so that the fuzzers start with valid input."""
import pathlib
import zlib

HERE = pathlib.Path(__file__).parent

VECTORS = HERE.parent.parent / 'core' / 'vectors'


def vectors():
    """The name, type and CBOR of the messages that core's tests also read."""
    for block in (VECTORS / 'messages.txt').read_text().split('\n\n[')[1:]:
        name, members = block.split(']\n', 1)
        members = dict(line.split(' =', 1) for line in members.splitlines())
        yield name, members['type'].strip(), members['hex'].strip()


EXTENSIONS = [(name, kind, text) for name, kind, text in vectors() if kind.startswith(('extensions', 'hmac_secret'))]
KEYS = [(name, kind, text) for name, kind, text in vectors() if kind == 'CoseKey']
MESSAGES = [vector for vector in vectors() if vector not in EXTENSIONS + KEYS]

U2F = [
    ('version', 'python-fido2 tests/test_ctap1.py', '000300000000000000'),
    ('register', 'python-fido2 tests/test_ctap1.py',
     '00010000000040' '4142d21c00d94ffb9d504ada8f99b721f4b191ae4e37ca0140f696b6983cfacb'
     'f0e6a6a97042a4f1f1c87f5f7d44315b2d852c2df5c7991cc66241bf7072d1c4' '0000'),
    ('register_short', 'the same in short encoding',
     '0001000040' '4142d21c00d94ffb9d504ada8f99b721f4b191ae4e37ca0140f696b6983cfacb'
     'f0e6a6a97042a4f1f1c87f5f7d44315b2d852c2df5c7991cc66241bf7072d1c4' '00'),
    ('authenticate', 'python-fido2 tests/test_ctap1.py',
     '00020300000081' 'ccd6ee2e47baef244d49a222db496bad0ef5b6f93aa7cc4d30c4821b3b9dbc57'
     '4b0be934baebb5d12d26011b69227fa5e86df94e7d94aa2949a89f2d493992ca' '40' + '03' * 64 + '0000'),
    ('register_response', 'python-fido2 tests/test_ctap1.py',
     (VECTORS / 'u2f_register_response.hex').read_text().strip()),
    ('authenticate_response', 'python-fido2 tests/test_ctap1.py',
     '0100000001' '304402204b5f0cd17534cedd8c34ee09570ef542a353df4436030ce43d406de870b847780220267bb998fac9b7266eb60e7c'
     'b0b5eabdfd5ba9614f53c7b22272ec10047a923f' '9000'),
]

AUTH_DATA = [
    ('registration', 'W3C WebAuthn L3 test vectors, none.ES256',
     'bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b559000000008446ccb9ab1db374750b2367ff6f3a'
     '1f0020f91f391db4c9b2fde0ea70189cba3fb63f579ba6122b33ad94ff3ec330084be4a5010203262001215820afefa16f97ca9b'
     '2d23eb86ccb64098d20db90856062eb249c33a9b672f26df61225820930a56b87a2fca66334b03458abf879717c12cc68ed73290'
     'af2e2664796b9220'),
    ('assertion', 'W3C WebAuthn L3 test vectors, none.ES256',
     'bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b51900000000'),
    ('extensions', 'the assertion, with an hmac-secret output',
     'bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b58500000001'
     'a16b686d61632d7365637265745820' + '5a' * 32),
]

# Items that are rare in the messages: every head, the limits of every length, and forms that canonical CBOR forbids.
ITEMS = [
    ('integers', 'RFC 8949 appendix A', '8a00171818190100' '1a00010000' '1b0000000100000000' '203863390100'
     '3b7fffffffffffffff' '1bffffffffffffffff'),
    ('padded_integers', 'not canonical', '84' '1800' '190001' '1a00000001' '1b0000000000000001'),
    ('misordered_map', 'not canonical', 'a2020201f5'),
    ('floats_and_tags', 'RFC 8949 appendix A',
     '86' 'f93c00' 'fa47c35000' 'fb3ff199999999999a' 'c11a514b67b0' 'f7' 'f8ff'),
    ('nested', 'depth four', '8181a1008100'),
    ('indefinite', 'refused', '9f01ff'),
]


ATTESTATION_OBJECTS = [
    ('packed_self', 'W3C WebAuthn L3 test vectors, packed-self.ES256',
     'a363666d74667061636b65646761747453746d74a263616c672663736967584630440220067a20754ab925005dbf378097c92120'
     '031581c73228d1fb4f5b881bcd7da98302207fc7b147558c7c0eba3af18bd9d121fa3d3a26d17fe3f220272178f473b6006d6861'
     '7574684461746158a4bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b55d00000000df850e09db6a'
     'fbdfab51697791506cfc0020455ef34e2043a87db3d4afeb39bbcb6cc32df9347c789a865ecdca129cbef58ca501020326200121'
     '5820eb151c8176b225cc651559fecf07af450fd85802046656b34c18f6cf193843c5225820927b8aa427a2be1b8834d233a2d34f'
     '61f13bfd44119c325d5896e183fee484f2'),
    ('packed_certified', 'W3C WebAuthn L3 test vectors, packed.ES256',
     'a363666d74667061636b65646761747453746d74a363616c6726637369675847304502203f19ec4b229f46ab8c45eff29b904ff1'
     '0c0390dc40bf1216f04a78f4ceba3425022100fe7041a32759aff05a0f9f26c70a999c7a284451ba89234a1d3483c25e21925b63'
     '7835638159022530820221308201c8a00302010202110088c220f83c8ef1feafe94deae45faad0300a06082a8648ce3d04030230'
     '62311e301c06035504030c15576562417574686e207465737420766563746f7273310c300a060355040a0c035733433125302306'
     '0355040b0c1c41757468656e74696361746f72204174746573746174696f6e204341310b30090603550406130241413020170d32'
     '34303130313030303030305a180f33303234303130313030303030305a305f311e301c06035504030c15576562417574686e2074'
     '65737420766563746f7273310c300a060355040a0c0357334331223020060355040b0c1941757468656e74696361746f72204174'
     '746573746174696f6e310b30090603550406130241413059301306072a8648ce3d020106082a8648ce3d03010703420004a91ba4'
     '389409dd38a428141940ca8feb1ac0d7b4350558104a3777a49322f3798440f378b3398ab2d3bb7bf91322c92eb23556f59ad0a8'
     '36fec4c7663b0e4dc3a360305e300c0603551d130101ff04023000300e0603551d0f0101ff040403020780301d0603551d0e0416'
     '0414a589ba72d060842ab11f74fb246bdedab16f9b9b301f0603551d2304183016801445aff715b0dd786741fee996ebc16547a3'
     '931b1e300a06082a8648ce3d040302034700304402201726b9d85ecd8a5ed51163722ca3a20886fd9b242a0aa0453d442116075d'
     'efd502207ef471e530ac87961a88a7f0d0c17b091ffc6b9238d30f79f635b417be5910e768617574684461746158a4bfabc37432'
     '958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b54d00000000876ca4f52071c3e9b25509ef2cdf7ed60020c9a6'
     'f5b3462d02873fea0c56862234f99f081728084e511bb7760201a89054a5a50102032620012158201cf27f25da591208a4239c2e'
     '324f104f585525479a29edeedd830f48e77aeae522582059e4b7da6c0106e206ce390c93ab98a15a5ec3887e57f0cc2bece803b9'
     '20c423'),
    ('tpm', 'W3C WebAuthn L3 test vectors, tpm.ES256',
     'a363666d746374706d6761747453746d74a663616c67266373696758463044022066e5826a652091030fd444e33c3eca2bc6dc54'
     '8cf3045013addb38aa6457a21002203f3a5c95c9e707d0e555041bcc8698ee4ebc04e26cc8bae459705471789851766376657263'
     '322e30637835638159023a30820236308201dca0030201020210311fc42da0ab10c43a9b1bf3a75e34e2300a06082a8648ce3d04'
     '03023062311e301c06035504030c15576562417574686e207465737420766563746f7273310c300a060355040a0c035733433125'
     '3023060355040b0c1c41757468656e74696361746f72204174746573746174696f6e204341310b30090603550406130241413020'
     '170d3234303130313030303030305a180f33303234303130313030303030305a30003059301306072a8648ce3d020106082a8648'
     'ce3d03010703420004c54e3f109094f60d7699b7db5d838569ffd1f3e1c9e897cd9eb40063f9402e3e9937e936cf1fcd5eb743ff'
     '443c97ab2edcd7c8e0e6cf6cfd413b8ab19fffa769a381d33081d0300c0603551d130101ff04023000300e0603551d0f0101ff04'
     '0403020780301d0603551d0e041604145f546cb6973d4981e80fcdc7463859f5879680e4301f0603551d2304183016801445aff7'
     '15b0dd786741fee996ebc16547a3931b1e30100603551d250409300706056781050803305e0603551d110101ff04543052a45030'
     '4e314c3014060567810502010c0b69643a30303030303030303014060567810502030c0b69643a3030303030303030301e060567'
     '810502020c15576562417574686e207465737420766563746f7273300a06082a8648ce3d0403020348003045022063c9a2797b80'
     '66f1db34dd609f1ab6695607e7a98e9ff8090a68853c9a9fc949022100a55831a39f5b8a2aa9a68837829cabf43fea2a5cea4859'
     'ae851cac78e6ac3e97677075624172656158560023000b0004000000000010001000030010002041202698c9d9753fb4bb3f27cd'
     '09fe6b8afdb76438ee2ae54d7c9dade10d864b0020d8735115cdb330a63ea1d6e43d5000f4bd56f99bce83ee1d73301fc270116d'
     '076863657274496e666f5869ff544347801700000020277d0e05579dd013215a62273f7f3a3e7e191ead2654a3036d75a5a3ee37'
     'a6b0000000000000000011111111222222223300000000000000000022000b9c42d8aad5939331b9af3711af179f17123178098c'
     '9a7d0ca89fcd1fc800f3c7000068617574684461746158a4bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f014'
     '52b2e4b54d000000004b92a377fc5f6107c4c85c190adbfd990020ec27bec7521c894bbb821105ea3724c90e770cf1fa354157ef'
     '18d0f18f78bea9a501020326200121582041202698c9d9753fb4bb3f27cd09fe6b8afdb76438ee2ae54d7c9dade10d864b225820'
     'd8735115cdb330a63ea1d6e43d5000f4bd56f99bce83ee1d73301fc270116d07'),
    ('android_key', 'W3C WebAuthn L3 test vectors, android-key.ES256',
     'a363666d746b616e64726f69642d6b65796761747453746d74a363616c67266373696758483046022100e95512982aa3f216cff2'
     'e87c8ec57057b8529f674eaabeccaa27fd03d8779f19022100afb6bf459da4a826f00d01fc6b60712ff31dc4eb331619c8f874bb'
     '17e4314e94637835638159026e3082026a30820210a00302010202101ff91f76b63f44812f998b250b0286bf300a06082a8648ce'
     '3d0403023062311e301c06035504030c15576562417574686e207465737420766563746f7273310c300a060355040a0c03573343'
     '31253023060355040b0c1c41757468656e74696361746f72204174746573746174696f6e204341310b3009060355040613024141'
     '3020170d3234303130313030303030305a180f33303234303130313030303030305a305f311e301c06035504030c155765624175'
     '74686e207465737420766563746f7273310c300a060355040a0c0357334331223020060355040b0c1941757468656e7469636174'
     '6f72204174746573746174696f6e310b30090603550406130241413059301306072a8648ce3d020106082a8648ce3d0301070342'
     '000499169657036d089a2a9821a7d0063d341f1a4613389359636efab5f3cbf1accfdd91c55543176ea99b644406dd1dd63774b6'
     'af65ac759e06ff40b1c8ab02df6ba381a83081a5300c0603551d130101ff04023000300e0603551d0f0101ff040403020780301d'
     '0603551d0e041604141ac81e50641e8d1339ab9f7eb25f0cd5aac054b0301f0603551d2304183016801445aff715b0dd786741fe'
     'e996ebc16547a3931b1e3045060a2b06010401d679020111043730350202012c0a01000201000a01000420b435028d7b6a8f83bb'
     '461d41c19b053a9d3cdb30351a4f374cd4cde8dbefb606040030003000300a06082a8648ce3d040302034800304502202d27f0ca'
     '39d2f519fc8f49c6d96dfc793059e211ff80516a50398cf1eac2a322022100d482a88c740f64cf6a98ccc6c8b9f5e1e533fa5e50'
     '9f0a7b4c3a02f964a8eba768617574684461746158a4bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2'
     'e4b55d00000000ade9705e1ce7085b899a540d02199bf800200a4729519788b6ed8a2d772b494e186244d8c798c052960dbc8c10'
     'c915176795a501020326200121582099169657036d089a2a9821a7d0063d341f1a4613389359636efab5f3cbf1accf225820dd91'
     'c55543176ea99b644406dd1dd63774b6af65ac759e06ff40b1c8ab02df6b'),
    ('apple', 'W3C WebAuthn L3 test vectors, apple.ES256',
     'a363666d74656170706c656761747453746d74a1637835638159025c30820258308201fea0030201020210394275613d5310b81a'
     '29ce90f48b61c1300a06082a8648ce3d0403023062311e301c06035504030c15576562417574686e207465737420766563746f72'
     '73310c300a060355040a0c0357334331253023060355040b0c1c41757468656e74696361746f72204174746573746174696f6e20'
     '4341310b30090603550406130241413020170d3234303130313030303030305a180f33303234303130313030303030305a305f31'
     '1e301c06035504030c15576562417574686e207465737420766563746f7273310c300a060355040a0c0357334331223020060355'
     '040b0c1941757468656e74696361746f72204174746573746174696f6e310b30090603550406130241413059301306072a8648ce'
     '3d020106082a8648ce3d030107034200048a3d5b1b4c543a706bf6e4b00afedb3c930b690dd286934fe2911f779cc7761af728e1'
     'aa3b0ff66692192daa776b83ddf8e3340d2d9a0eabdfc324eb3e2f136ca38196308193300c0603551d130101ff04023000300e06'
     '03551d0f0101ff040403020780301d0603551d0e0416041412f1ce6c0ae39b403bfc9200317bc183a4e4d766301f0603551d2304'
     '183016801445aff715b0dd786741fee996ebc16547a3931b1e303306092a864886f76364080204263024a1220420d7a86e7233fb'
     '843eb0eeb407d8b76ff7e4f82d218cf5dbb461d752073f5cb29a300a06082a8648ce3d0403020348003045022070f5c2ede3000e'
     '9dae358d412b26a4acbf18f4cdeb80f5b13fcd564d090c39ec022100f672e2c3dbe117c9b1490b3c660abf5dcd74398187082dac'
     'b58b6744de4aca6068617574684461746158a4bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b549'
     '00000000748210a20076616a733b2114336fc38400209c4a5886af9283d9be3e9ec55978dedfdce2e3b365cab193ae850c16238f'
     'afb8a50102032620012158208a3d5b1b4c543a706bf6e4b00afedb3c930b690dd286934fe2911f779cc7761a225820f728e1aa3b'
     '0ff66692192daa776b83ddf8e3340d2d9a0eabdfc324eb3e2f136c'),
]

CLIENT_DATA = [
    ('packed_self', 'W3C WebAuthn L3 test vectors, packed-self.ES256',
     '7b2274797065223a22776562617574686e2e637265617465222c226368616c6c656e6765223a2265476e4374334c55745936366b'
     '336a506a796e6962506b31716e666644616966715a774c33417032392d55222c226f726967696e223a2268747470733a2f2f6578'
     '616d706c652e6f7267222c2263726f73734f726967696e223a66616c73652c22657874726144617461223a22636c69656e744461'
     '74614a534f4e206d617920626520657874656e6465642077697468206164646974696f6e616c206669656c647320696e20746865'
     '206675747572652c207375636820617320746869733a205539685458764b453255526b4d6e625f307859485667227d'),
    ('packed_certified', 'W3C WebAuthn L3 test vectors, packed.ES256',
     '7b2274797065223a22776562617574686e2e637265617465222c226368616c6c656e6765223a227752684b583933344246345433'
     '45663153324831706c61325a725751475046746877365356756d56494249222c226f726967696e223a2268747470733a2f2f6578'
     '616d706c652e6f7267222c2263726f73734f726967696e223a66616c73652c22657874726144617461223a22636c69656e744461'
     '74614a534f4e206d617920626520657874656e6465642077697468206164646974696f6e616c206669656c647320696e20746865'
     '206675747572652c207375636820617320746869733a20396138624e596a4b436757724258552d66436c316167227d'),
]

JSON = [
    ('values', 'every kind of value', b'{"a":[1,-0.5e+3,true,false,null,{}],"b":{"c":"d"}}'.hex()),
    ('escapes', 'every escape', br'["\"\\\/\b\f\n\r\t\u00e4\ud83d\ude00"]'.hex()),
    ('deep', 'the deepest that is read', (b'[' * 16 + b']' * 16).hex()),
    ('too_deep', 'one deeper', (b'[' * 17 + b']' * 17).hex()),
    ('huge', 'a number that no f64 holds', b'1e999'.hex()),
]

SIGNATURES = [
    ('es256', 'W3C WebAuthn L3 test vectors, none.ES256',
     '3046022100f50a4e2e4409249c4a853ba361282f09841df4dd4547a13a87780218deffcd380221008480ac0f0b93538174f575bf'
     '11a1dd5d78c6e486013f937295ea13653e331e87'),
    ('smallest', 'two zeros', '3006020100020100'),
]

# The following seeds are for the targets that read their input with `Input` in src/lib.rs.
ORDER = 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551'
MESSAGE = '0007' + b'message'.hex()

VERIFY = [
    ('es256', 'signed', '0601' + MESSAGE + '00'),
    ('es256_edited', 'signed, one byte changed', '0601' + MESSAGE + '01' '000801'),
    ('es256_numbers', 'two numbers, out of range', '0001' + ORDER + '00' * 32 + MESSAGE + '00'),
    ('ed25519', 'signed', '0701' + MESSAGE + '00'),
    ('ed25519_edited', 'signed, one byte changed', '0701' + MESSAGE + '01' '000801'),
] + [('ed25519_torsion_%d' % n, 'with a key moved by a point of small order', '0101' '%02x' % n + MESSAGE + '00')
     for n in range(8)] + [
    ('ed25519_weak', 'a key of small order', '0301' '01' + MESSAGE + '00'),
]

MUTATE = [('algorithm_%d' % n, 'one byte of the key changed', '%02x' % n + '0001' + MESSAGE + '0003' '01' '000501' '00')
          for n in range(4)]

POINTS = [
    ('on_the_curve', 'twice the base point', '0000' + '00' * 31 + '02' '00' '2020'),
    ('off_the_curve', 'one bit changed', '0000' + '00' * 31 + '02' '01' '003f01'),
    ('short', 'a coordinate cut', '0000' + '00' * 31 + '02' '00' 'e0ff'),
    ('other_curve', 'P-384', '0003' + '00' * 31 + '02' '00' '2020'),
    ('zero', 'the point (0, 0)', '0000' + '00' * 96 + '00' '2020'),
]


def page_head(erasures):
    """The head of a page of the flash log, with words of four bytes."""
    head = b'kfob\x01\0\x04\0' + erasures.to_bytes(4, 'little')
    return (head + zlib.crc32(head).to_bytes(4, 'little')).hex()


# Time, action, report: channel, command, length, data.
INIT = '01' '07' '1f' '86' '0008' '0008' '0102030405060708'
DEVICE = [
    ('init_and_ping', 'a transaction', '01' '05' '0400' '0400' + INIT + '01' '07' '01' '81' '0002' '0002' 'abcd' '0103'),
    ('cbor', 'a request, cancelled, answered', '03' '05' '0400' '0400' + INIT + '01' '07' '01' '90' '0001' '0001' '04'
     '0102' '01' '01' '07' '01' '91' '0000' '0000' '0100' '0001' '0103'),
    ('long', 'two packets', '01' '05' '0400' '0400' + INIT + '01' '07' '01' '90' '0046' '0039' + '05' * 57
     + '01' '07' '01' '00' '000d' + '05' * 13),
    ('full', 'as long as the buffer', '01' '05' '0000' '0000' + INIT + '01' '07' '01' '90' '0046' '0039' + '05' * 57
     + '01' '07' '01' '00' '000d' + '05' * 13),
    ('too_long', 'one byte longer', '01' '05' '0400' '0000' + INIT + '01' '07' '01' '90' '0047' '0039' + '05' * 57
     + '01' '07' '01' '00' '000e' + '05' * 14),
    ('lock', 'a lock and another client', '03' '05' '0400' '0400' + INIT + INIT + '01' '07' '01' '84' '0001' '0001' '05'
     '01' '07' '02' '81' '0000' '0000' 'ff' '07' '01' 'c0' '0000' '0000'),
]
HOST = [
    ('response', 'a transaction', '00' '0400' '01' '00' '10' '0001' '01' '04' '01' '07' '01' '90' '0002' '0002' '0000'),
    ('keep_alive', 'a cancelled transaction', '00' '0400' '01' '00' '10' '0001' '01' '04' '01' '07' '01' 'bb' '0001'
     '0001' '02' '01' '02' '01' '04' '01' '07' '01' '90' '0001' '0001' '2d'),
    ('long', 'two packets', '00' '0400' '01' '00' '10' '0001' '01' '04' '01' '07' '01' '90' '0046' '0039' + '05' * 57
     + '01' '07' '01' '00' '000d' + '05' * 13),
    ('too_long', 'one byte longer than the buffer', '00' '0045' '01' '00' '10' '0001' '01' '04' '01' '07' '01' '90' '0046'
     '0039' + '05' * 57 + '01' '07' '01' '00' '000d' + '05' * 13),
    ('busy', 'asked again', '00' '0400' '01' '00' '10' '0001' '01' '04' '01' '07' '01' 'bf' '0001' '0001' '06' '10' '04'),
]



def commands(*apdus, between=''):
    """Commands for `nfc_device`: time, action, length and bytes; each answer or other action follows."""
    return ''.join('01' '07' + '%04x' % (len(apdu) // 2) + apdu + between for apdu in apdus)


SELECT = '00a4040008a0000006472f000100'
CHAIN = '90108000f0' + 'a5' * 240, '8010800017' + '726bf50850fc43aaa411d948cc6c37068b8da1d5080901' + '00'
NFC_DEVICE = [
    ('chain', 'the standard\'s example, CTAP 2.3 §11.3.6', '01' '0400' '0400' + commands(SELECT, *CHAIN) + '01' '00' '02a7'
     + commands('80c0000000', '80c00000a7')),
    ('polls', 'status updates and a cancellation', '01' '0400' '0400' + commands(SELECT, '801080000104' '00')
     + '01' '01' '02' + commands('8011000000', '8011110000') + '01' '00' '0001'),
    ('u2f', 'U2F, in a chain', '01' '0400' '0400' + commands(SELECT, '0003000000', '10020300020102', '000203000103' '00')
     + '01' '00' '0004'),
    ('end', 'CONTROL END', '01' '0400' '0400' + commands(SELECT, '80120100', '801000000104' '00')),
    ('extended', 'in extended length encoding', '01' '0400' '0400' + commands(SELECT, '80100000' '000001' '04' '0000')
     + '01' '00' '0300'),
]


def vpcd(*messages):
    """Messages of a vpcd reader."""
    return ''.join('%04x' % (len(message) // 2) + message for message in messages)


GET_INFO = '801080000104' '00'
VPCD = [
    ('insertion', 'what pcscd does with a new card', vpcd('04', '01', '04', '04', '00', '04')),
    ('info', 'getInfo in parts', vpcd('04', '01', '04', SELECT, GET_INFO, '00c0000000', '00c0000000', '00')),
    ('touches', 'selection with the tap, without it, and after a reset',
     vpcd('01', SELECT, *['80108000010b' '00'] * 2, '02', SELECT, '80108000010b' '00')),
    ('chain', 'the standard\'s example, CTAP 2.3 §11.3.6', vpcd('01', SELECT, *CHAIN)),
    ('u2f', 'the version of U2F, and a registration',
     vpcd('01', SELECT, '0003000000', '00010000000040' + '07' * 64 + '0000')),
    ('no_power', 'commands without power, and an empty message', vpcd(SELECT, '01', SELECT, '00', GET_INFO, '')),
]


def responses(*apdus):
    """Responses for `nfc_host`: action, length and bytes."""
    return ''.join('07' + '%04x' % (len(apdu) // 2) + apdu for apdu in apdus)


SELECTED = '00' + responses('5532465f56329000')
CTAP2 = '01' '00' '0001' '04'
NFC_HOST = [
    ('response', 'a transaction in parts', '00' '0000' '0400' + SELECTED + CTAP2 + responses('000102' '6103', '030405' '9000')),
    ('polls', 'status updates and a cancellation', '00' '0000' '0400' + SELECTED + CTAP2 + responses('019100') + '03'
     + responses('019100', '2d9000')),
    ('u2f', 'the version of U2F', '01' '0000' '0400' + SELECTED + '01' '01' '0009' '000300000000000000'
     + responses('5532465f56329000')),
    ('chain', 'a request of 500 bytes', '00' '0000' '0400' + SELECTED + '01' '00' '01f4' + '05' * 500
     + responses('9000', '9000', '009000')),
    ('refused', 'a status word', '00' '0000' '0400' + SELECTED + CTAP2 + responses('6985')),
]


def fragments(*values):
    """Fragments for the targets of Bluetooth: time, action, length and bytes."""
    return ''.join('01' '07' + '%04x' % (len(value) // 2) + value for value in values)


LONG = '830028' + '05' * 17, '00' + '05' * 19, '01' + '05' * 4
BLE_DEVICE = [
    ('ping', 'an echo', 'e0' '0400' '0400' '0000' + fragments('8100020102') + '0103'),
    ('long', 'three fragments, answered', 'e0' '0400' '0400' '0000' + '01' '02' '20' + fragments(*LONG) + '01' '00' '0028' '0103'),
    ('cancel', 'a cancellation', 'e0' '0400' '0400' '0000' + '01' '02' '20' + fragments('83000104') + '01' '01' '02'
     + fragments('be0000') + '01' '00' '0001' '0103'),
    ('order', 'a fragment out of order', 'e0' '0400' '0400' '0000' + fragments(LONG[0], LONG[2]) + '0103'),
]
SENT = '01' '00' '03' '0001' '01' '03'
BLE_HOST = [
    ('response', 'three fragments', '0400' '0000' + SENT + fragments(*LONG)),
    ('keep_alive', 'a cancelled transaction', '0400' '0000' + SENT + fragments('82000102') + '01' '01' '01' '03'
     + fragments('8300012d')),
    ('error', 'the authenticator is busy', '0400' '0000' + SENT + fragments('bf000106')),
]

# Flags; time, action, request.
ENGINE = [(name + suffix, source, '00' + '010c%04x' % (len(text) // 2 + 1) + command + text + event + '0102' * 3)
          for suffix, event in [('', '0105'), ('_denied', '0100')]
          for name, source, text, command in [
              (name, source, text, '01' if name.startswith('make') else '02')
              for name, source, text in MESSAGES if name.endswith('_request')
          ] + [('reset', 'no parameters', '', '07'), ('selection', 'no parameters', '', '0b'),
               ('next', 'no parameters', '', '08'), ('retries', 'clientPIN', 'a10201', '06'),
               ('key_agreement', 'clientPIN', 'a201020202', '06'),
               ('always_uv', 'authenticatorConfig', 'a10102', '0d'),
               ('relying_parties', 'authenticatorCredentialManagement', 'a10102', '0a'),
               ('read_blobs', 'authenticatorLargeBlobs', 'a201110300', '0c')]]
# Time, action 0e, an APDU; action 0f: a touch.
U2F_REGISTER = '010e0049' + '00010000000040' + '5a' * 64 + '0000'
ENGINE += [('u2f_register', 'U2F', '00' + U2F_REGISTER + '010f01' + U2F_REGISTER + '0102' * 3),
           ('u2f_declined', 'U2F', '00' + U2F_REGISTER + '010f00' + U2F_REGISTER),
           ('u2f_version', 'U2F', '00' + '010e0007' + '00030000000000')]

COMMANDS = [
    ('pin_token_make_get_next', 'a life',
     '0700' '4900' 'c000' '4900' 'c002' '4900' 'c004' '4900' '8200' '05' '06' '05' '0d' '0e'),
    ('wrong_pins', 'a blocked PIN', '0700' + '0901' * 3 + '0d' + '0901' * 3 + '0d' + '0901' * 3),
    ('aborted', 'PIN attempts that are not compared, a sign-in, a torn commit',
     '0700' + '290101' * 4 + '0d' + '290501' * 4 + '0d' + '4900' '200000' '210100' '221100' '281111' '0e'),
    ('times', 'a token and a sequence run out', '0700' '4900' '0cff' 'c000' '4000' '0200' '0cff' '05'),
    ('last_moment', 'a sequence asked for when it runs out', '4000' '4002' '0200' '0c77' '05' '0200' '0c78' '05'),
    ('wrapped', 'not discoverable', '0000' '4200' '04' '0b00' '4200' '0b01' '0000'),
    ('managed', 'a credential is renamed, listed and deleted',
     '0700' '4900' 'c002' '4903' '120205' '4903' '14' '4903' '1002' '4903' '14'),
    ('settings', 'alwaysUv, and a PIN that must be changed',
     '0700' '4909' '16' '4000' '4900' 'c000' '4909' '1886' '4900' '0803' '4901' 'c002'),
    ('large_blobs', 'written whole, damaged and in part',
     '1a10' '1d00' '0700' '1a10' '4906' '1a20' '1d05' '4906' '5a30' '4906' '9a30' '1d00'),
]

CLIENT = [('flags_%02x' % flags, 'as the ceremony wants', '%02x' % flags + '10' + '00' * 24) for flags in range(0, 64, 2)]

# The size of the blob, then its compression.
INFLATE = [
    ('fixed', 'zlib, raw', '0010' 'cb48cdc9c957c8492c4a4f5548cac94f0200'),
    ('stored', 'RFC 1951 section 3.2.4', '0005' '010500faff' '68656c6c6f'),
    ('repetition', 'zlib, raw', '0019' '4b4cc40100'),
    ('dynamic', 'zlib, raw: 32 numbered repetitions of a pangram', '0616'
     '95d3d91182501044d15426028beee74a362ee082fa000595e8ad2283fb3d77be4e7551c6fb5245375c8f4d1cfafc79469dbf711b1eed2bf2'
     '58f5f3f9be9f7e71cae74508f6867d82fd12f62bd8af61bf81fd16f63bea55d0072a2c4a2c6a2c8a2caa2cca2cea2c0a2d2a6d2a6dbc652a'
     '6d2a6d2a6d2a6d2a6d2a6d2a6d2a9da874a2d27f'),
]

# The array without its hash, then steps: a key and a blob, or a key from 0x80 on.
ARRAY = [
    ('empty', 'storing and removing', '0001' '80' '03' '01' '0004' '61626364' '81' '02' '0000'),
    ('entry', 'the published array, and another blob',
     '0037' '81a30158228c4a1bd20cb20a52a10bd8def923b12281d6ff8d0b72900fece228ea2830dd5e37cb024c000102030405060708090a0b'
     '0310' '02' '00' '0003' '010203' '00' '0001' 'ff'),
    ('strange', 'elements that are none', '000a' '85' '05' 'a1014100' '1805' 'f5' 'f6' '01' '01' '0001' '00'),
]


# Options in JSON with every known member; the id, user and extension results of one response.
OPTIONS = [(name, 'WebAuthn L3 section 5.1', text.encode().hex()) for name, text in [
    ('creation', '{"rp":{"id":"example.org","name":"Ex\\u00e4mple"},"user":{"id":"dXNlcg","name":"a","displayName":"b"},'
     '"challenge":"-_8A","pubKeyCredParams":[{"type":"public-key","alg":-7},{"type":"public-key","alg":-257}],'
     '"timeout":60000,"excludeCredentials":[{"type":"public-key","id":"AQ","transports":["usb","nfc"]}],'
     '"authenticatorSelection":{"authenticatorAttachment":"platform","residentKey":"required",'
     '"requireResidentKey":true,"userVerification":"preferred"},"hints":["security-key"],"attestation":"direct",'
     '"attestationFormats":["packed"],"extensions":{"credProps":true,"minPinLength":true,"credBlob":"AQI",'
     '"appidExclude":"https://a","credentialProtectionPolicy":"userVerificationRequired",'
     '"enforceCredentialProtectionPolicy":false,"hmacCreateSecret":true,"largeBlob":{"support":"required"},'
     '"prf":{"eval":{"first":"AQ","second":"Ag"}},"payment":{"isPayment":true},"pinComplexityPolicy":true,'
     '"uvm":true,"later":[null,1.5e3]}}'),
    ('request', '{"challenge":"AAEC","rpId":"example.org","timeout":1,"userVerification":"required","hints":[],'
     '"allowCredentials":[{"type":"public-key","id":"AQID"}],"extensions":{"appid":"https://a","getCredBlob":true,'
     '"largeBlob":{"read":true,"write":"AQ"},"hmacGetSecret":{"salt1":"AQ","salt2":"Ag"},'
     '"prf":{"evalByCredential":{"AQID":{"first":"AQ"},"BA":{"first":"Ag","second":"Aw"}}}}}'),
]] + [('response', 'composed', '0002aabb' '0001cc' 'a263707266a167726573756c7473a165666972737442010265617070696464f4f5f626')]

# Operations on a store in flash: 02 commits, 01 writes an array, 00 tidies, fe and 7e reset. With the highest bit set,
# the power is cut in the operation in the lower bits; the kind of cut follows.
PUT, LONG, SET = '0203000100c8', '02030102030a', '02070105000a'
# Two pages. Each has its number of erasures, and for each piece its flags and kind, length, tag, key and data: the
# page's beginning, credentials, a deletion, retired pages, a part of an array.
FORGED = ('02' '01' '00040000' '0100000000000000' '32280101' '0102030405060708' '33000101' '0000000000000000'
          '37040000' '0300040000000000' '8000' '02' '00040005' '0200000000000000' '3a28020103' '0102030405060708'
          '62100103' '0102030405060708' '35000001' '0000000000000000' '8000')
FLASH = [
    ('life', 'everything once', '0101' + PUT * 3 + SET + '02010005012c' '020001' '01070100' '0005' '7e070109000a' + PUT),
    ('cut', 'a credential is put, updated and deleted, without power',
     '0101' + PUT * 2 + '8202110301020190' '86000301020190' '83012201000500fa' '82031100010000' + PUT),
    ('array_cut', 'the large-blob array, and another', '0101' '01070200' '8502330900fa' '8101010180' '01030040'),
    ('reset_cut', 'a reset, in the middle', '0101' + PUT * 4 + 'fe02070109000a' + PUT + 'fe01070109000a' + SET),
    ('full', 'no room for more', '0101' + LONG * 40 + SET * 4 + '0201000500c8' '7e070109000a' + LONG),
    ('around', 'the log goes around, and is cut while pages are freed',
     '0101' + PUT * 4 + (LONG + '020000' + SET * 4 + '0003' '84021205') * 9),
    ('broken', 'a page does not erase', '010403' + PUT * 4 + (LONG + '020000' + SET * 4 + '0007') * 9),
    ('damaged', 'bits are cleared', '0001' '04' + (PUT[2:] * 3 + SET[2:]) + '03' '000000' '001400' '00ff7f' '0207000000'),
    ('raw', 'a page that was prepared', '0000' '14' '0010' + page_head(1) + '00' * 8 + '0207000000' '03' '03'),
    ('forged', 'pieces with the right CRC', '0002%04x' % (len(FORGED) // 2) + FORGED
     + '0207000000' '0100' '0203000100c8' '03'),
]

DESCRIPTORS = [
    ('authenticator', 'keyfob-core, REPORT_DESCRIPTOR',
     '06d0f10901a1010920150026ff007508954081020921150026ff00750895409102c0'),
    ('beside_a_keyboard', 'HID 1.11 appendix B.1, shortened, and the same',
     '05010906a1010507' '19e029e7750195088102c0' '06d0f10901a1010920150026ff007508954081020921150026ff00750895409102c0'),
]


def write(target, seeds):
    folder = HERE / target
    folder.mkdir(exist_ok=True)
    for name, _source, text in seeds:
        (folder / name).write_bytes(bytes.fromhex(text))


write('messages', MESSAGES)
write('cose_key', KEYS)
write('extensions', EXTENSIONS)
write('ctap1', U2F)
write('auth_data', AUTH_DATA)
write('cbor_reader', MESSAGES + EXTENSIONS + KEYS + ITEMS)
write('attestation_statement', ATTESTATION_OBJECTS)
write('client_data', CLIENT_DATA)
write('json', CLIENT_DATA + JSON)
write('webauthn_json', OPTIONS)
write('der_signature', SIGNATURES)
write('verify_signature', VERIFY)
write('sign_then_mutate', MUTATE)
write('cose_point', KEYS + POINTS)
write('hid_device', DEVICE)
write('hid_host', HOST)
write('report_descriptor', DESCRIPTORS)
write('nfc_device', NFC_DEVICE)
write('nfc_host', NFC_HOST)
write('vpcd', VPCD)
write('ble_device', BLE_DEVICE)
write('ble_host', BLE_HOST)
write('engine_bytes', ENGINE)
write('engine_commands', COMMANDS)
write('client_machine', CLIENT)
write('inflate', INFLATE)
write('large_blob_array', ARRAY)
write('flash_store', FLASH)
