package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime/debug"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"spamsensor/sensor/notify"
	"spamsensor/sensor/serve"
)

// serveConfig is the part of the configuration that serve has.
type serveConfig struct {
	listen, webConfig string
}

// serve resolves the keys of serve.
func (r *resolver) serve(c *config, f *fileConfig) {
	c.serve = serveConfig{listen: cmp.Or(f.Serve.Listen, serve.DefaultListen),
		webConfig: f.Serve.WebConfig}
	if err := serve.CheckListen(c.serve.listen); err != nil {
		r.reject("serve.listen", "%q: %v", f.Serve.Listen, err)
	}
}

// serveOptions are the options of `serve`.
type serveOptions struct {
	listen, webConfig, socket string
	hosts                     []string
}

func (a *app) serveCommand() *cobra.Command {
	var o serveOptions
	c := &cobra.Command{
		Use:   "serve",
		Short: "Show the running sensor over HTTP: metrics, JSON, a page",
		Long: "serve asks the sensor that runs on this machine and answers over HTTP: /metrics " +
			"for Prometheus,\n/api/v1/ as JSON, /-/ready, /-/healthy, and a page. It changes " +
			"nothing, and needs no privilege but\nthe group that may ask the sensor " +
			"(control.group). Where other machines can connect it needs a\nfile with a " +
			"certificate and with users.",
		Example: "  spamsensor serve\n  spamsensor serve --listen 192.0.2.10:9725 " +
			"--web-config /etc/spamsensor-web.yaml",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.serve(cmd.Context(), &o) },
	}
	f := c.Flags()
	f.StringVar(&o.listen, "listen", "", fmt.Sprintf("`ADDRESS` to listen on, HOST:PORT or "+
		"unix:PATH (default: serve.listen of the configuration, %s)", serve.DefaultListen))
	f.StringVar(&o.webConfig, "web-config", "", "`FILE` with TLS and users, in the format of the "+
		"Prometheus exporters (default: serve.web_config)")
	socketFlag(c, &o.socket)
	f.StringArrayVar(&o.hosts, "host", nil,
		"a further `NAME` by which browsers and proxies call this server; repeatable")
	return c
}

// serveMemory bounds what the runtime holds beyond what is in use: the model of a big network is
// read again and again. With the program itself that is less than 64 MiB.
const serveMemory = 32 << 20

func (a *app) serve(ctx context.Context, o *serveOptions) error {
	a.opt.fromFiles, a.opt.asks = true, true // it captures nothing
	if o.listen != "" {
		if err := serve.CheckListen(o.listen); err != nil {
			return exit(exitUsage, errors.New("--listen "+printable(o.listen)+": "+err.Error()))
		}
	}
	cfg, err := loadConfig(&a.opt)
	if err != nil {
		return exit(exitUsage, err)
	}
	socket := cmp.Or(o.socket, cfg.control.socket)
	if err := checkSocket(socket); err != nil {
		return err
	}
	log := a.logger(cfg)
	c := serve.Config{Listen: cmp.Or(o.listen, cfg.serve.listen),
		WebConfig: cmp.Or(o.webConfig, cfg.serve.webConfig), Hosts: splitLists(o.hosts),
		Socket: socket, Version: version, Log: slog.New(zerolog.NewSlogHandler(log))}
	if cfg.state.dir != "" {
		c.Notices = filepath.Join(cfg.state.dir, notify.CountersFile)
	}
	server, err := serve.New(c)
	switch {
	case errors.Is(err, serve.ErrOpen):
		return exit(exitUsage, err)
	case err != nil:
		return exit(exitFailed, err)
	}
	debug.SetGCPercent(50)
	debug.SetMemoryLimit(serveMemory)
	log.Info().Str("socket", socket).Msg("asking the sensor on its control socket")
	if err := server.Serve(ctx); err != nil {
		return exit(exitFailed, err)
	}
	return nil
}
