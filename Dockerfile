# spamsensor as an image that holds one file, a static binary:
#
#	docker build -t spamsensor .
#	docker run --rm --cap-drop ALL --cap-add NET_RAW --network host --read-only spamsensor run -i eth1
#	docker run --rm -i --cap-drop ALL --network none --read-only spamsensor read - <monday.pcap

# Any Debian with Go and certificates will do.
ARG BUILDER=golang:1.26-bookworm

FROM ${BUILDER} AS build

# Debian's libpcap.a needs D-Bus and systemd, and there is no static systemd. So libpcap is
# built here, from Debian's source with Debian's fixes, and without what captures from
# anything but a network card. The sources of packages are off by default: newer images
# list them in *.sources, older ones in *.list.
RUN set -eu; \
	find /etc/apt -name '*.sources' -exec sed -i 's/^Types: *deb *$/Types: deb deb-src/' {} +; \
	find /etc/apt -name '*.list' -exec sed -n 's/^deb /deb-src /p' {} + >/tmp/src.list; \
	mv /tmp/src.list /etc/apt/sources.list.d/src.list; \
	export DEBIAN_FRONTEND=noninteractive; \
	apt-get update; \
	apt-get install -y --no-install-recommends bison dpkg-dev flex gcc libc6-dev make

WORKDIR /libpcap
RUN set -eu; \
	apt-get source libpcap; \
	cd libpcap-*/; \
	./configure --disable-shared --disable-dbus --disable-usb --disable-bluetooth --disable-rdma --without-libnl; \
	make; \
	make install

# The modules change less often than the code.
WORKDIR /src
ARG GOPROXY
COPY go.mod go.sum ./
RUN go mod download

# The linker warns of getaddrinfo and the like: libpcap looks up names in filters, and ours
# are made of numbers.
ARG VERSION=0.1.0
# The profile for the compiler makes the sensor 15 % faster, and the build minutes longer; off leaves
# it out.
ARG PGO=auto
COPY . .
RUN set -eu; \
	go build -trimpath -buildvcs=false -pgo=${PGO} -tags netgo,osusergo \
		-ldflags "-s -w -buildid= -linkmode external -extldflags -static -X main.version=${VERSION}" -o /spamsensor ./sensor; \
	readelf -ld /spamsensor >/tmp/elf; \
	if grep -E 'INTERP|NEEDED' /tmp/elf; then echo "the binary is not static"; exit 1; fi

FROM scratch
LABEL org.opencontainers.image.title="spamsensor" \
	org.opencontainers.image.description="Find the machine that sends spam, by listening" \
	org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /spamsensor /usr/bin/spamsensor
# Root, but with --cap-drop ALL --cap-add NET_RAW it may do nothing else than capture. Another
# user would need a file capability on the binary, and then a container without NET_RAW could
# not even start it, not for reading a file either.
USER 0
ENTRYPOINT ["/usr/bin/spamsensor"]
CMD ["--help"]
